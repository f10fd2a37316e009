from typing import Any

import pytest
import torch

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
def test_values_and_gradients_are_those_of_all_logits(piece: int, bias: bool) -> None:
    head, hidden, token, temperature = inputs(bias=bias)
    wanted = [hidden, *head.parameters()]
    weight = torch.arange(1.0, TOKENS + 1)
    expected_lp, expected_entropy = plain(head, hidden, token, temperature)
    expected = torch.autograd.grad((weight * expected_lp).sum(), wanted)
    lp, entropy = token_log_probs(head, hidden, token, temperature, piece=piece)
    found = torch.autograd.grad((weight * lp).sum(), wanted, retain_graph=True)
    again = torch.autograd.grad((weight * lp).sum(), wanted)
    torch.testing.assert_close(lp, expected_lp)
    torch.testing.assert_close(entropy, expected_entropy.detach())
    assert entropy is not None
    assert not entropy.requires_grad
    for one, two, other in zip(found, again, expected, strict=True):
        torch.testing.assert_close(one, other)
        assert two.equal(one)


def test_a_head_that_is_no_plain_layer_is_called() -> None:
    head, hidden, token, temperature = inputs()
    lp, entropy = token_log_probs(torch.nn.Sequential(head), hidden, token, temperature)
    expected_lp, expected_entropy = plain(head, hidden, token, temperature)
    torch.testing.assert_close(lp, expected_lp)
    torch.testing.assert_close(entropy, expected_entropy.detach())
    assert lp.requires_grad


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


def test_of_several_pieces_no_logits_are_kept() -> None:
    kept = []

    def keep(x: Any) -> Any:
        kept.append(x.numel())
        return x

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        token_log_probs(*inputs(), piece=2 * VOCABULARY)
    assert kept
    assert max(kept) < TOKENS * VOCABULARY


def test_bfloat16_is_summed_up_in_float32() -> None:
    head, hidden, token, temperature = inputs()
    lp, _ = token_log_probs(head.bfloat16(), hidden.bfloat16(), token, temperature)
    assert lp.dtype == torch.float32
    lp.sum().backward()
    assert head.weight.grad.dtype == torch.bfloat16
