from typing import Any

import pytest
import torch

from textgrad_rl.policies.block_attention import attend_by_blocks
from textgrad_rl.policies.prefix_tree import PrefixTree
from textgrad_rl.policies.tree_attention import attend_by, attend_by_mask, attend_by_nodes, use_tree_attention

LONG = tuple(range(600))  # more keys than a block of the kernel holds
TREES = {
    "one token": [(1,)],
    "no branch": [tuple(range(40))],
    "no shared token": [(1, 2, 3), (4, 5), (6,)],
    "groups": [(1, 2, 3, 4, 5, 6), (1, 2, 3, 7), (1, 2, 3, 8, 8, 8, 8), (2, 2, 9), (2, 2, 8, 1)],
    "branches on branches": [(1, 2), (1, 2, 3, 4), (1, 2, 3, 5), (1, 2, 3, 5, 6, 7), (1, 3), (1, 3, 3, 3)],
    "long": [(*LONG, 1, 2, 3), (*LONG, *LONG[::-1]), (*LONG[:300], 1)],
}


def random_heads(tokens: int, queries: int) -> list[Any]:
    """Query, key and value of two key-value heads, laid out as a projection leaves them."""
    generator = torch.Generator().manual_seed(0)
    heads = (2 * queries, 2, 2)
    made = [torch.randn(1, tokens, n, 8, generator=generator, dtype=torch.float64).transpose(1, 2) for n in heads]
    return [x.requires_grad_() for x in made]


@pytest.mark.parametrize("queries", [1, 3])
@pytest.mark.parametrize("name", TREES)
def test_node_by_node_is_the_same_as_by_mask(name: str, queries: int) -> None:
    tree = PrefixTree.of(TREES[name])
    inputs = random_heads(len(tree.ids), queries)
    found = []
    for attend in (attend_by_mask, attend_by_nodes):
        mixed = attend(*inputs, tree, 0.3)
        gradient = torch.randn(mixed.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        found.append([mixed, *torch.autograd.grad(mixed, inputs, gradient)])
    for by_mask, by_nodes in zip(*found, strict=True):
        torch.testing.assert_close(by_nodes, by_mask, rtol=1e-10, atol=1e-11)


def test_a_token_attends_to_its_own_past_only() -> None:
    sequences = TREES["branches on branches"]
    tree = PrefixTree.of(sequences)
    query, key, value = random_heads(len(tree.ids), 2)
    mixed = attend_by_nodes(query, key, value, tree, 0.3)
    for places in tree.places:
        own = torch.tensor(places)
        expected = torch.nn.functional.scaled_dot_product_attention(
            query[:, :, own], key[:, :, own], value[:, :, own], is_causal=True, scale=0.3, enable_gqa=True
        )
        torch.testing.assert_close(mixed[:, :, own], expected, rtol=1e-10, atol=1e-11)


def test_bfloat16_is_joined_in_float32() -> None:
    tree = PrefixTree.of(TREES["branches on branches"])
    inputs = [x.bfloat16() for x in random_heads(len(tree.ids), 2)]
    mixed = attend_by_nodes(*inputs, tree, 0.3)
    gradients = torch.autograd.grad(mixed.sum(), inputs)
    exact = attend_by_mask(*(x.double() for x in inputs), tree, 0.3)
    assert mixed.dtype == torch.bfloat16
    torch.testing.assert_close(mixed.double(), exact, rtol=0, atol=2e-2)
    for found, expected in zip(gradients, torch.autograd.grad(exact.sum(), inputs), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=5e-2)


@pytest.mark.parametrize(
    ("device", "dtype", "tokens", "expected"),
    [
        ("cpu", torch.float32, 4096, attend_by_nodes),
        ("cuda", torch.bfloat16, 4096, attend_by_blocks),
        ("cuda", torch.float64, 4096, attend_by_mask),
        ("cuda", torch.bfloat16, 7, attend_by_mask),
        ("mps", torch.float32, 4096, attend_by_mask),
    ],
)
def test_a_device_gets_the_kernel_that_is_made_for_it(device: str, dtype: Any, tokens: int, expected: Any) -> None:
    assert attend_by(device, dtype, tokens) is expected


def test_without_a_tree_the_model_does_not_change(new_model: Any) -> None:
    model, plain = new_model(), new_model()
    use_tree_attention(model)
    ids = torch.randint(0, 256, (2, 7), generator=torch.Generator().manual_seed(0))
    mask = torch.tensor([[0, 0, 1, 1, 1, 1, 1], [1] * 7])  # left padding, as generate needs it
    found, expected = (m(input_ids=ids, attention_mask=mask).logits[mask.bool()] for m in (model, plain))
    torch.testing.assert_close(found, expected)
