from dataclasses import replace
from typing import Any

import pytest
import torch

from textgrad_rl.policies import Row, Segment
from textgrad_rl.policies.log_probs import log_probs
from textgrad_rl.policies.tree_attention import use_tree_attention
from textgrad_rl_graphs.errors import ModelError


def row(context: tuple[int, ...], output: tuple[int, ...], source: str = "t/c", **more: Any) -> Row:
    return Row(
        context=Segment(context[2:], Segment(context[:2])),
        output_ids=output,
        logprobs=(0.0,) * len(output),
        advantage=1.0,
        reward=1.0,
        group="g",
        source=source,
        **more,
    )


def random_ids(count: int, seed: int) -> tuple[int, ...]:
    return tuple(torch.randint(0, 60, (count,), generator=torch.Generator().manual_seed(seed)).tolist())


PROMPT, OTHER, TURN = random_ids(23, 0), random_ids(9, 1), random_ids(6, 2)
ROWS = [
    # A group with ragged outputs, one of a single token, two that begin alike, two that are equal.
    *(row(PROMPT, random_ids(length, length)) for length in (7, 1, 12, 30)),
    row(PROMPT, (*random_ids(12, 12)[:5], 3, 4)),
    row(PROMPT, random_ids(7, 7), temperature=0.7),
    # A refinement shares the prompt of its group.
    row(PROMPT, random_ids(11, 50), kind="refinement", temperature=0.7),
    # A smaller group, and a group of one without anything in common.
    *(row(OTHER, random_ids(length, 60 + length), temperature=1.3) for length in (4, 9)),
    row((61,), (62, 5)),
    # Two turns: the second one's context is the first one's context and output, and more.
    row((*PROMPT, *random_ids(12, 12), *TURN), random_ids(5, 70)),
    row((*PROMPT, *random_ids(12, 12), *TURN), random_ids(8, 71)),
]
SIZES = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 64, "initializer_range": 0.2,
    "bos_token_id": None, "eos_token_id": 1, "pad_token_id": 0,
}  # fmt: skip


def build(name: str, **settings: Any) -> Any:
    import transformers

    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**{**SIZES, **settings})
    return getattr(transformers, f"{name}ForCausalLM")(config).eval()


def float64(model: Any) -> Any:
    """The same model in float64; transformers' own norms would go through float32."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child).__name__.endswith("RMSNorm"):
                norm = torch.nn.RMSNorm(len(child.weight), eps=child.variance_epsilon)
                norm.weight = child.weight
                setattr(module, name, norm)
    return model.double()


def padded(model: Any, rows: list[Row]) -> Any:
    """Log-probabilities by transformers alone: every row whole, padded on the right, all logits."""
    sequences = [row.context.tokens() + row.output_ids for row in rows]
    longest = max(map(len, sequences))
    ids = torch.tensor([sequence + (0,) * (longest - len(sequence)) for sequence in sequences])
    mask = torch.tensor([[1] * len(sequence) + [0] * (longest - len(sequence)) for sequence in sequences])
    logits = model(input_ids=ids, attention_mask=mask).logits
    parts = []
    for row, sequence, logits_SV in zip(rows, sequences, logits, strict=True):
        start = len(sequence) - len(row.output_ids)
        lp_TV = (logits_SV[start - 1 : len(sequence) - 1] / row.temperature).log_softmax(-1)
        parts.append(lp_TV.gather(1, torch.tensor(row.output_ids)[:, None])[:, 0])
    return torch.cat(parts)


def by_tree(model: Any, rows: list[Row]) -> Any:
    use_tree_attention(model)
    return log_probs(model, rows)[0]


def values_and_gradient(model: Any, compute: Any) -> tuple[Any, Any]:
    """Log-probabilities, and the gradient of a weighted sum of them as one vector; in float64."""
    model.zero_grad()
    lp = compute(model, ROWS)
    (lp * torch.linspace(-1, 2, len(lp), dtype=lp.dtype)).sum().backward()
    gradient = torch.cat([parameter.grad.flatten() for parameter in model.parameters()])
    return lp.detach().double(), gradient.double()


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("name", ["Qwen3", "Qwen2", "Llama"])
def test_the_tree_is_as_exact_as_the_padded_forward_pass(name: str, tied: bool) -> None:
    def built() -> Any:
        return build(name, tie_word_embeddings=tied)

    exact = values_and_gradient(float64(built()), padded)
    for found, expected in zip(values_and_gradient(float64(built()), by_tree), exact, strict=True):
        assert (found - expected).norm() <= 1e-12 * expected.norm()
    plain, tree = (values_and_gradient(built(), compute) for compute in (padded, by_tree))
    for found, other, expected in zip(tree, plain, exact, strict=True):
        assert 0 < (found - expected).norm() <= 2 * (other - expected).norm()
    assert (tree[0] - plain[0]).norm() <= 1e-6 * plain[0].norm()


def test_every_shared_token_is_computed_once() -> None:
    model = build("Qwen3")
    seen = []
    model.get_input_embeddings().register_forward_hook(lambda _, inputs, __: seen.append(tuple(inputs[0].shape)))
    by_tree(model, ROWS)
    # The last output token of a row is not read, unless another row's context holds it.
    read = [row.context.tokens() + row.output_ids[:-1] for row in ROWS]
    assert seen == [(1, len({ids[: place + 1] for ids in read for place in range(len(ids))}))]


def test_it_is_deterministic() -> None:
    found = [values_and_gradient(build("Qwen3"), by_tree) for _ in range(2)]
    assert all(one.equal(other) for one, other in zip(*found, strict=True))


def test_the_entropy_is_that_of_the_tempered_distribution(new_model: Any) -> None:
    model = new_model()
    use_tree_attention(model)
    rows = [row((1, 2, 3), (4, 5, 258), temperature=0.5)]
    lp, entropy = log_probs(model, rows)
    lp_TV = (model(input_ids=torch.tensor([[1, 2, 3, 4, 5]])).logits[0, 2:] / 0.5).log_softmax(-1)
    torch.testing.assert_close(entropy, -(lp_TV.exp() * lp_TV).sum(-1), atol=1e-4, rtol=0)
    assert lp.requires_grad
    without, none = log_probs(model, rows, entropy=False)
    assert none is None
    torch.testing.assert_close(without, lp)


def test_a_row_without_context_is_refused(new_model: Any) -> None:
    with pytest.raises(ModelError, match="'trace/call' has no context"):
        log_probs(new_model(), [replace(row((1,), (1,), "trace/call"), context=Segment(()))])
