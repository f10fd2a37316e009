"""Log-probabilities of given tokens from the hidden states that predict them, without keeping logits.

A batch whose logits are one piece keeps its probabilities for the backward pass; of a larger one nothing is kept, and
each piece is computed again. Gradients of the weights add up in place. The entropy has a gradient too, which costs
nothing where no loss asks for it.

Axes: ``_N`` tokens, ``_V`` vocabulary, ``_E`` size of a hidden state.

Left out: a fused kernel, and logits that several tokens share (rows of a group share those of their first token).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import linear
from torch.utils.checkpoint import checkpoint

if TYPE_CHECKING:
    from torch import Tensor, nn

PIECE = 1 << 26
"""Logits computed at a time: 256 MiB in float32."""


def token_log_probs(
    head: nn.Module,
    hidden_NE: Tensor,
    token_N: Tensor,
    temperature_N: Tensor,
    *,
    entropy: bool = True,
    piece: int = PIECE,
) -> tuple[Tensor, Tensor | None]:
    """Return ``log softmax(head(hidden) / temperature)`` at the tokens, and the entropy in nats of that softmax.

    Both are (N,), in float32 at least: in bfloat16 a log-probability has two digits.

    Args:
        head: from hidden states to logits: ``torch.nn.Linear``, or another layer (an adapter's), which is called.
        hidden_NE: what predicts each token.
        token_N: the tokens.
        temperature_N: of each token, > 0.
        entropy: whether to compute it; None is returned else.
        piece: logits computed at a time.

    >>> head = torch.nn.Linear(4, 8, bias=False)
    >>> lp_N, entropy_N = token_log_probs(head, torch.zeros(1, 4), torch.tensor([3]), torch.ones(1))
    >>> bool(lp_N.exp() == 1 / 8), bool(entropy_N == torch.tensor(8).log())
    (True, True)
    """
    if type(head) is torch.nn.Linear:
        size = max(1, piece // head.out_features)
        return _TokenLogProbs.apply(  # type: ignore[no-any-return, no-untyped-call]
            hidden_NE, head.weight, head.bias, token_N, temperature_N[:, None], entropy, size
        )
    size = max(1, piece // head(hidden_NE[:1]).shape[-1])
    again = partial(checkpoint, _of_logits, head, entropy, use_reentrant=False, preserve_rng_state=False)
    parts = [again(hidden_NE[place], token_N[place], temperature_N[place]) for place in _pieces(len(token_N), size)]
    lps, entropies = zip(*parts, strict=True)
    return torch.cat(lps), torch.cat(entropies) if entropy else None


def _of_logits(
    head: nn.Module, entropy: bool, hidden_NE: Tensor, token_N: Tensor, temperature_N: Tensor
) -> tuple[Tensor, Tensor | None]:
    """Return log-probabilities and entropy through all logits."""
    lp_NV = (_float32(head(hidden_NE)) / temperature_N[:, None]).log_softmax(-1)
    entropy_N = torch.special.entr(lp_NV.exp()).sum(-1) if entropy else None
    return lp_NV.gather(1, token_N[:, None])[:, 0], entropy_N


class _TokenLogProbs(torch.autograd.Function):
    """With ``p = softmax(z)``, ``z = (W h + b) / temperature``: ``d lp = (onehot(token) - p) dz``.

    The entropy ``H = -sum p log p`` has ``d H = -p (log p + H) dz``.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden_NE: Tensor,
        weight_VE: Tensor,
        bias_V: Tensor | None,
        token_N: Tensor,
        temperature_N1: Tensor,
        entropy: bool,
        size: int,
    ) -> tuple[Tensor, Tensor | None]:
        lps, entropies, kept_NV = [], [], None
        for place in _pieces(len(token_N), size):
            logits_NV = _float32(linear(hidden_NE[place], weight_VE, bias_V)).div_(temperature_N1[place])
            logits_NV -= logits_NV.amax(-1, keepdim=True)
            chosen_N = logits_NV.gather(1, token_N[place, None])[:, 0]
            p_NV = logits_NV.exp() if entropy else logits_NV.exp_()
            sum_N = p_NV.sum(-1)
            lps.append(chosen_N - sum_N.log())
            if entropy:
                entropies.append(sum_N.log() - torch.linalg.vecdot(p_NV, logits_NV) / sum_N)
            if size >= len(token_N):
                kept_NV = p_NV.div_(sum_N[:, None])
        entropy_N = torch.cat(entropies) if entropy else None
        ctx.save_for_backward(hidden_NE, weight_VE, bias_V, token_N, temperature_N1, kept_NV, entropy_N)
        ctx.size = size
        ctx.set_materialize_grads(False)  # what the loss does not use comes as None and is not computed
        return torch.cat(lps), entropy_N

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, to_lp_N: Tensor | None, to_entropy_N: Tensor | None) -> tuple[Tensor | None, ...]:
        hidden_NE, weight_VE, bias_V, token_N, temperature_N1, kept_NV, entropy_N = ctx.saved_tensors
        needs_hidden, needs_weight, needs_bias = ctx.needs_input_grad[:3]
        to_hidden = torch.empty_like(hidden_NE) if needs_hidden else None
        to_weight = torch.zeros_like(weight_VE) if needs_weight else None
        to_bias = torch.zeros_like(bias_V) if needs_bias else None
        if to_lp_N is None:
            to_lp_N = torch.zeros_like(entropy_N)
        for place in _pieces(len(token_N), ctx.size):
            if kept_NV is None:
                logits_NV = _float32(linear(hidden_NE[place], weight_VE, bias_V)).div_(temperature_N1[place])
                p_NV = logits_NV.softmax(-1)
            else:
                p_NV = kept_NV  # not written to: the graph may be kept for another backward pass
            scale_N1 = to_lp_N[place, None] / temperature_N1[place]
            to_logits = (p_NV * -scale_N1).scatter_add_(1, token_N[place, None], scale_N1)
            if to_entropy_N is not None:
                bonus_N1 = to_entropy_N[place, None] / temperature_N1[place]
                to_logits += torch.special.entr(p_NV).sub_(p_NV * entropy_N[place, None]).mul_(bonus_N1)
            to_logits = to_logits.to(weight_VE.dtype)
            if to_hidden is not None:
                torch.mm(to_logits, weight_VE, out=to_hidden[place])
            if to_weight is not None:
                to_weight.addmm_(to_logits.T, hidden_NE[place])
            if to_bias is not None:
                to_bias += to_logits.sum(0)
        return to_hidden, to_weight, to_bias, None, None, None, None


def _pieces(count: int, size: int) -> Iterator[slice]:
    """Yield slices of at most ``size`` tokens."""
    return (slice(start, start + size) for start in range(0, count, size))


def _float32(x: Tensor) -> Tensor:
    """Return it in float32, or in its own type where that is wider."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
