"""Flex attention in its dense form on the CPU: what is masked and padded is that of CUDA, the kernel is not."""

import random
from typing import Any

import pytest
import torch
from torch.nn.attention.flex_attention import create_block_mask

from textgrad_rl.policies import block_attention
from textgrad_rl.policies.block_attention import BLOCK, attend_by_blocks, tree_blocks
from textgrad_rl.policies.prefix_tree import PrefixTree
from textgrad_rl.policies.tree_attention import attend_by_mask

# PyTorch's compiler looks at the gradients of what is no leaf and hides the warning, but not from a filter for errors.
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
CPU = torch.device("cpu")
GRAPHS: list[Any] = []


@pytest.fixture(autouse=True)
def dense(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compile as on CUDA, all but the kernel. PyTorch refuses gradients on the CPU, for which it has no kernel."""

    def backend(graph: Any, _: Any) -> Any:
        GRAPHS.append(graph)
        return graph

    flex = torch.nn.attention.flex_attention
    compiled = torch.compile(flex.flex_attention, dynamic=True, backend=backend)
    monkeypatch.setattr(flex, "_validate_device", lambda *_: None)
    monkeypatch.setattr(block_attention, "flex_attention", lambda: compiled)


def random_tree(seed: int, tokens: int) -> PrefixTree:
    """A tree of so many tokens, with branches on branches, short and long."""
    draw = random.Random(seed)
    sequences: list[tuple[int, ...]] = []
    while len(tree := PrefixTree.of(sequences).ids) < tokens:
        base = draw.choice(sequences) if sequences and draw.random() < 0.8 else ()
        room = tokens - len(tree)
        new = tuple(draw.randrange(9) for _ in range(min(room, draw.choice((1, 5, 90, 400)))))
        sequences.append(base[: draw.randint(0, len(base))] + new)
    return PrefixTree.of(sequences)


@pytest.mark.parametrize("tokens", [1, 127, 128, 129, 700, 1100])
def test_the_blocks_are_those_of_the_tree_s_mask(tokens: int) -> None:
    tree = random_tree(tokens, tokens)
    blocks = tree_blocks(tree, CPU)
    padded = blocks.shape[-1]
    expected = create_block_mask(blocks.mask_mod, None, None, padded, padded, device="cpu", BLOCK_SIZE=BLOCK)
    for found, other in zip(blocks.as_tuple(), expected.as_tuple(), strict=True):
        assert found.equal(other) if isinstance(found, torch.Tensor) else found == other
    sees = blocks.mask_mod(None, None, torch.arange(tokens)[:, None], torch.arange(tokens))
    for place, end in enumerate(tree.ends):
        assert sees[:, place].nonzero()[:, 0].tolist() == list(range(place, end))


@pytest.mark.parametrize(("queries", "size", "dtype"), [(1, 8, torch.float64), (3, 24, torch.float32)])
def test_block_by_block_is_the_same_as_by_mask(queries: int, size: int, dtype: torch.dtype) -> None:
    tree = random_tree(0, 420)
    generator = torch.Generator().manual_seed(0)
    inputs = [
        torch.randn(1, 420, heads, size, generator=generator, dtype=dtype).transpose(1, 2).requires_grad_()
        for heads in (2 * queries, 2, 2)
    ]
    gradient = torch.randn(1, 2 * queries, 420, size, generator=generator, dtype=dtype)
    found = []
    for attend in (attend_by_mask, attend_by_blocks):
        mixed = attend(*inputs, tree, 0.3)
        found.append([mixed, *torch.autograd.grad(mixed, inputs, gradient)])
    tolerance = 1e-11 if dtype == torch.float64 else 1e-5
    for by_mask, by_blocks in zip(*found, strict=True):
        torch.testing.assert_close(by_blocks, by_mask, rtol=tolerance, atol=tolerance)


def test_trees_of_every_length_share_one_kernel() -> None:
    query, key, value = (torch.randn(1, 800, heads, 16).transpose(1, 2) for heads in (6, 3, 3))
    lengths = [600, 1, 300, 130, 512, 800]  # a first tree of as many blocks as heads would cost a second compilation
    before = len(GRAPHS)
    for tokens in lengths:
        attend_by_blocks(*(x[:, :, :tokens] for x in (query, key, value)), random_tree(tokens, tokens), 0.3)
    assert len(GRAPHS) - before == 1


def test_the_layers_of_a_model_share_the_blocks_of_a_tree() -> None:
    tree = random_tree(0, 200)
    assert tree_blocks(tree, CPU) is tree_blocks(tree, CPU)
    assert tree_blocks(PrefixTree.of([tree.ids]), CPU) is not tree_blocks(tree, CPU)
