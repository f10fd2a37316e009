"""Critique-GRPO: learn from samples and from critique-guided refinements at once.

    J = (1/n) sum_i sum_t min(rho A, clip(rho) A) + (1/k) sum_i' sum_t f(pi) A',   f(p) = p / (p + gamma)

with A = R - mean over the n samples and the k kept refinements, no division by the standard deviation, no length
normalisation, no KL. Refinement tokens are trained under the question alone.

Source: https://arxiv.org/abs/2506.03106. Where paper and released code differ: :mod:`textgrad_rl.methods.presets`.
"""

from __future__ import annotations

from textgrad_rl.methods.aggregation import Aggregation
from textgrad_rl.methods.clip import Clip
from textgrad_rl.methods.estimators import Scale
from textgrad_rl.methods.losses import PolicyLoss
from textgrad_rl.methods.method import Method
from textgrad_rl.methods.shaping import Shaped
from textgrad_rl.policies.optimizer import Optimizer


def CritiqueGRPO(
    *,
    learning_rate: float = 1e-6,
    gamma: float = 0.1,
    scale: Scale = "none",
    clip_low: float | None = 0.2,
    clip_high: float | None = 0.2,
    clip_refinements: bool = False,
    aggregation: Aggregation = "group_sum",
    length: int | None = None,
    max_grad_norm: float = 1.0,
) -> Method:
    """Return the method: clipped surrogate on samples, shaped term on refinements.

    Args:
        learning_rate: of AdamW.
        gamma: policy shaping.
        scale: ``"none"`` as in the paper, ``"std"`` as in the released code.
        clip_low: range of the ratio below 1; None for no bound.
        clip_high: range above 1; None for no bound.
        clip_refinements: whether the shaped term is clipped too.
        aggregation: see :mod:`textgrad_rl.methods.aggregation`.
        length: tokens, for ``aggregation="constant_length"``.
        max_grad_norm: gradients are scaled down to this norm.

    >>> CritiqueGRPO().loss.refinement
    Shaped(gamma=0.1, low=None, high=None)
    """
    low, high = (clip_low, clip_high) if clip_refinements else (None, None)
    return Method(
        scale=scale,
        loss=PolicyLoss(
            term=Clip(low=clip_low, high=clip_high),
            refinement=Shaped(gamma=gamma, low=low, high=high),
            aggregation=aggregation,
            length=length,
        ),
        optimizer=Optimizer(learning_rate=learning_rate, max_grad_norm=max_grad_norm),
    )
