from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from textgrad_rl.policies.head import PIECE, token_log_probs

TOKENS, SIZE, VOCABULARY = 7, 6, 11


def inputs(*, bias: bool = False) -> tuple[Any, Any, Any, Any]:
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    head = torch.nn.Linear(SIZE, VOCABULARY, bias=bias, dtype=torch.float64)
    hidden = 3 * torch.randn(TOKENS, SIZE, generator=generator, dtype=torch.float64)
    token = torch.randint(0, VOCABULARY, (TOKENS,), generator=generator)
    temperature = 0.5 + torch.rand(TOKENS, generator=generator)
    return head, hidden.requires_grad_(), token, temperature


def plain(head: Any, hidden: Any, token: Any, temperature: Any) -> tuple[Any, Any]:
    lp = (head(hidden) / temperature[:, None]).log_softmax(-1)
    return lp[torch.arange(TOKENS), token], -(lp.exp() * lp).sum(-1)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("piece", [1, 3 * VOCABULARY, PIECE])
@pytest.mark.parametrize("wrap", [lambda head: head, torch.nn.Sequential])  # a plain layer; any other one
@pytest.mark.parametrize(("of_lp", "of_entropy"), [(1.0, 0.0), (0.0, 1.0), (1.0, -0.5)])
def test_values_and_gradients_are_those_of_all_logits(
    wrap: Any, piece: int, bias: bool, of_lp: float, of_entropy: float
) -> None:
    head, hidden, token, temperature = inputs(bias=bias)
    wanted = [hidden, *head.parameters()]
    weight = torch.arange(1.0, TOKENS + 1)

    def loss(lp: Any, entropy: Any) -> Any:
        """Names what it uses alone."""
        parts = [coefficient * (weight * x).sum() for coefficient, x in ((of_lp, lp), (of_entropy, entropy))]
        return sum(part for part, coefficient in zip(parts, (of_lp, of_entropy), strict=True) if coefficient)

    expected_lp, expected_entropy = plain(head, hidden, token, temperature)
    expected = torch.autograd.grad(loss(expected_lp, expected_entropy), wanted, retain_graph=True)
    lp, entropy = token_log_probs(wrap(head), hidden, token, temperature, piece=piece)
    found = torch.autograd.grad(loss(lp, entropy), wanted, retain_graph=True)
    again = torch.autograd.grad(loss(lp, entropy), wanted)
    torch.testing.assert_close(lp, expected_lp)
    torch.testing.assert_close(entropy, expected_entropy)
    for one, two, other in zip(found, again, expected, strict=True):
        torch.testing.assert_close(one, other)
        assert two.equal(one)


def test_tokens_of_probability_zero_have_an_entropy_and_a_gradient() -> None:
    head, hidden, token, temperature = inputs()
    _, entropy = token_log_probs(head, 1e4 * hidden, token, temperature)
    assert entropy is not None
    entropy.sum().backward()
    assert bool(entropy.isfinite().all())
    assert bool(hidden.grad.isfinite().all())


def test_what_is_frozen_gets_no_gradient() -> None:
    head, hidden, token, temperature = inputs()
    head.requires_grad_(False)
    lp, _ = token_log_probs(head, hidden, token, temperature, piece=1)
    lp.sum().backward()
    assert hidden.grad is not None
    assert head.weight.grad is None


def test_the_entropy_is_computed_on_request_only() -> None:
    for head in (inputs()[0], torch.nn.Sequential(inputs()[0])):
        lp, entropy = token_log_probs(head, *inputs()[1:], entropy=False)
        assert entropy is None
        torch.testing.assert_close(lp, token_log_probs(head, *inputs()[1:])[0])


@pytest.mark.parametrize("wrap", [lambda head: head, torch.nn.Sequential])
def test_of_several_pieces_no_logits_are_kept(wrap: Any) -> None:
    kept = []

    def keep(x: Any) -> Any:
        kept.append(x.numel())
        return x

    head, *rest = inputs()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        token_log_probs(wrap(head), *rest, piece=2 * VOCABULARY)
    assert kept
    assert max(kept) < TOKENS * VOCABULARY


class Operations(TorchDispatchMode):
    """The names of what is computed."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("piece", [2 * VOCABULARY, PIECE])
def test_an_entropy_that_no_loss_asks_for_costs_no_backward_pass(piece: int) -> None:
    names = []
    for entropy in (False, True):
        lp, _ = token_log_probs(*inputs(), entropy=entropy, piece=piece)
        with Operations() as operations:
            lp.sum().backward()
        names.append([name for name in operations.names if name != "detach"])  # of what is kept; no arithmetic
    assert names[0] == names[1]
    assert "mm" in names[0]


def test_bfloat16_is_summed_up_in_float32() -> None:
    head, hidden, token, temperature = inputs()
    lp, _ = token_log_probs(head.bfloat16(), hidden.bfloat16(), token, temperature)
    assert lp.dtype == torch.float32
    lp.sum().backward()
    assert head.weight.grad.dtype == torch.bfloat16
