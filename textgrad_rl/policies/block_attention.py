"""Attention along a prefix tree on CUDA: a kernel that skips the blocks of tokens that do not see each other.

That kernel is PyTorch's flex attention (https://arxiv.org/abs/2412.05496). It asks which blocks of keys a block of
queries sees in part and which as a whole, and which tokens see each other in a block seen in part. A tree answers all
three from its ``ends``: token ``i`` sees token ``j`` if ``j <= i < ends[j]``.

Shapes: as in :mod:`textgrad_rl.policies.tree_attention`, ``_C`` blocks of 128 tokens.

Left out: float64, for which there is no kernel. Not yet run on a GPU: the tests run PyTorch's own dense form of flex
attention on the CPU, forward and backward.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import pad

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn.attention.flex_attention import BlockMask

    from textgrad_rl.policies.prefix_tree import PrefixTree

BLOCK = 128
"""Tokens of a block, as flex attention has it by default."""

_SMALLEST_HEAD = 16
"""The kernel's products need this many numbers per head."""


def attend_by_blocks(query: Tensor, key: Tensor, value: Tensor, tree: PrefixTree, scaling: float) -> Tensor:
    """Return the same as :func:`textgrad_rl.policies.tree_attention.attend_by_mask`, which documents the arguments.

    Tokens are padded to whole blocks, so that a kernel serves trees of every length.
    """
    tokens, size = query.shape[-2:]
    blocks = tree_blocks(tree, query.device)
    padding = (0, max(0, _SMALLEST_HEAD - size), 0, blocks.shape[-1] - tokens)
    query, key, value = (pad(x, padding).contiguous() for x in (query, key, value))
    mixed: Tensor = flex_attention()(query, key, value, block_mask=blocks, scale=scaling, enable_gqa=True)
    return mixed[:, :, :tokens, :size]


@cache
def flex_attention() -> Callable[..., Any]:
    """Return PyTorch's flex attention, compiled once for all lengths."""
    from torch.nn.attention import flex_attention

    return torch.compile(flex_attention.flex_attention, dynamic=True)


@lru_cache(maxsize=1)  # all layers of a micro-batch ask for the same tree
def tree_blocks(tree: PrefixTree, device: torch.device) -> BlockMask:
    """Return which tokens of a tree see each other, block by block.

    The blocks are found in time linear in the tokens. A token of the padding sees itself alone, so that no row is
    empty; there are two blocks at least, because for sizes of one PyTorch compiles another kernel.

    >>> from textgrad_rl.policies.prefix_tree import PrefixTree
    >>> blocks = tree_blocks(PrefixTree.of([(1,) * 300, (2,) * 200]), torch.device("cpu"))
    >>> blocks.to_dense()[0, 0].tolist()
    [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 1]]
    """
    from torch.nn.attention.flex_attention import BlockMask

    tokens = len(tree.ids)
    padded = max(2, -(-tokens // BLOCK)) * BLOCK
    end_S = torch.tensor((*tree.ends, *range(tokens + 1, padded + 1)), device=device)

    def sees(batch: Tensor, head: Tensor, i: Tensor, j: Tensor) -> Tensor:
        return (j <= i) & (i < end_S[j])

    start_C = torch.arange(0, padded, BLOCK, device=device)
    end_CB = end_S.view(-1, BLOCK)
    some_CC = (start_C <= start_C[:, None]) & (start_C[:, None] < end_CB.amax(1))
    whole_CC = (start_C < start_C[:, None]) & (start_C[:, None] + BLOCK <= end_CB.amin(1))
    partly_CC = some_CC & ~whole_CC
    return BlockMask.from_kv_blocks(*_listed(partly_CC), *_listed(whole_CC), BLOCK_SIZE=BLOCK, mask_mod=sees)


def _listed(chosen_CC: Tensor) -> tuple[Tensor, Tensor]:
    """Return how many blocks of keys each block of queries has, (1, 1, C), and which, those first, (1, 1, C, C)."""
    first_CC = chosen_CC.int().argsort(dim=-1, descending=True, stable=True)
    return chosen_CC.sum(-1, dtype=torch.int32)[None, None], first_CC.to(torch.int32)[None, None]
