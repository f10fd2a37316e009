"""Attention along a prefix tree: every token attends to itself and to its past, and shared tokens stand there once.

In preorder the tokens that see a node's keys are one slice, which begins with the node itself: causal attention of that
slice to these keys, one call per node, without padding, mask or copy. What a token gets from the nodes of its past is
joined by the log-sum-exp of each part's scores, as FlashAttention joins its blocks
(https://arxiv.org/abs/2307.08691, section 3.1); the backward pass of every part uses the joined result.

Shapes: ``_S`` tokens of the tree, ``_H`` key-value heads, ``_Q`` query heads per key-value head, ``_D`` head size.

On CUDA a kernel computes all nodes at once (:mod:`textgrad_rl.policies.block_attention`).

Left out: such a kernel for other devices and for float64 on CUDA; there, one scaled dot product with the tree's mask
computes all pairs of the micro-batch. Sliding windows, soft caps and sinks are refused by
:func:`textgrad_rl.policies.support.check_support`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import scaled_dot_product_attention

from textgrad_rl.policies.attention import attention as sampler_attention
from textgrad_rl.policies.block_attention import attend_by_blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor, nn

    from textgrad_rl.policies.prefix_tree import Node, PrefixTree

NAME = "textgrad_rl_tree"
"""Under which transformers knows this attention."""

_FEW = 512
"""Tokens of a tree for which no kernel is compiled, such as the probe of a model that is only sampled from."""


def use_tree_attention(model: Any) -> None:
    """Let a transformers model attend along a tree where its forward pass gets ``tree=``, else as the sampler does."""
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

    AttentionInterface.register(NAME, attention)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    model.set_attn_implementation(NAME)


def attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    tree: PrefixTree | None = None,
    **kwargs: Any,
) -> tuple[Tensor, Tensor | None]:
    """Attend along ``tree`` where the forward pass was given one, else as the sampler does."""
    if tree is None:
        return sampler_attention(module, query, key, value, attention_mask, **kwargs)
    attend = attend_by(query.device.type, query.dtype, query.shape[2])
    return attend(query, key, value, tree, kwargs["scaling"]).transpose(1, 2), None


def attend_by(
    device: str, dtype: torch.dtype, tokens: int
) -> Callable[[Tensor, Tensor, Tensor, PrefixTree, float], Tensor]:
    """Return which of the equal ways is taken for so many tokens on a type of device."""
    if device == "cpu":
        return attend_by_nodes
    if device == "cuda" and dtype != torch.float64 and tokens >= _FEW:
        return attend_by_blocks
    return attend_by_mask


def attend_by_mask(query: Tensor, key: Tensor, value: Tensor, tree: PrefixTree, scaling: float) -> Tensor:
    """Return the attention of all tokens by one scaled dot product with a mask, on any device.

    Args:
        query: (1, H * Q, S, D).
        key: (1, H, S, D).
        value: (1, H, S, D).
        tree: of S tokens.
        scaling: of the scores.

    Returns:
        (1, H * Q, S, D).
    """
    place_S = torch.arange(len(tree.ids), device=query.device)
    end_S = torch.tensor(tree.ends, device=query.device)
    sees_SS = (place_S <= place_S[:, None]) & (place_S[:, None] < end_S)
    return scaled_dot_product_attention(query, key, value, sees_SS, scale=scaling, enable_gqa=True)


def attend_by_nodes(query: Tensor, key: Tensor, value: Tensor, tree: PrefixTree, scaling: float) -> Tensor:
    """Return the same as :func:`attend_by_mask` on the CPU, without the pairs of tokens that do not see each other."""
    heads = key.shape[1]
    query_QHSD = query.unflatten(1, (heads, -1))[0].transpose(0, 1)
    mixed_QHSD: Tensor = _ByNodes.apply(  # type: ignore[no-untyped-call]
        query_QHSD, key[0], value[0], list(tree.nodes()), scaling
    )
    return mixed_QHSD.transpose(0, 1).flatten(0, 1)[None]


class _ByNodes(torch.autograd.Function):
    """Attention node by node; keys and values of a node are read as a view for all query heads.

    The kernel is called by its own name, because ``scaled_dot_product_attention`` does not return the log-sum-exp.
    """

    @staticmethod
    def forward(
        ctx: Any, query_QHSD: Tensor, key_HSD: Tensor, value_HSD: Tensor, nodes: Sequence[Node], scaling: float
    ) -> Tensor:
        queries, heads, tokens, size = query_QHSD.shape
        mixed_QHSD = query_QHSD.new_empty((tokens, heads, queries, size)).permute(2, 1, 0, 3)
        wide = torch.promote_types(query_QHSD.dtype, torch.float32)
        lse_QHS = query_QHSD.new_empty((queries, heads, tokens), dtype=wide)
        root_end = 0
        for start, stop, end in nodes:
            part, lse = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
                query_QHSD[:, :, start:end],
                key_HSD[None, :, start:stop].expand(queries, -1, -1, -1),
                value_HSD[None, :, start:stop].expand(queries, -1, -1, -1),
                is_causal=True,
                scale=scaling,
            )
            mixed, known = mixed_QHSD[:, :, start:end], lse_QHS[:, :, start:end]
            if start >= root_end:  # a root: nothing of these tokens' past came before
                root_end = end
                mixed.copy_(part)
                known.copy_(lse)
            else:
                share = torch.sigmoid(lse - known)  # of the new part in the joined softmax
                mixed.lerp_(part, share[..., None].to(part.dtype))
                torch.logaddexp(known, lse, out=known)
        ctx.save_for_backward(query_QHSD, key_HSD, value_HSD, mixed_QHSD, lse_QHS)
        ctx.nodes, ctx.scaling = nodes, scaling
        return mixed_QHSD

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_QHSD: Tensor) -> tuple[Tensor | None, ...]:
        query_QHSD, key_HSD, value_HSD, mixed_QHSD, lse_QHS = ctx.saved_tensors
        queries = query_QHSD.shape[0]
        grad_query = torch.zeros_like(query_QHSD)
        grad_key, grad_value = torch.empty_like(key_HSD), torch.empty_like(value_HSD)
        for start, stop, end in ctx.nodes:
            to_query, to_key, to_value = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
                grad_QHSD[:, :, start:end],
                query_QHSD[:, :, start:end],
                key_HSD[None, :, start:stop].expand(queries, -1, -1, -1),
                value_HSD[None, :, start:stop].expand(queries, -1, -1, -1),
                mixed_QHSD[:, :, start:end],
                lse_QHS[:, :, start:end],
                0.0,
                True,
                scale=ctx.scaling,
            )
            grad_query[:, :, start:end] += to_query
            grad_key[:, start:stop] = to_key.sum(0)
            grad_value[:, start:stop] = to_value.sum(0)
        return grad_query, grad_key, grad_value, None, None
