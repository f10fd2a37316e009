"""GRPO: group-relative policy optimisation from scores alone.

Source: https://arxiv.org/abs/2402.03300. Without the KL term (off by default in the present practice).
"""

from __future__ import annotations

from textgrad_rl.methods.aggregation import Aggregation
from textgrad_rl.methods.clip import Clip
from textgrad_rl.methods.estimators import Scale
from textgrad_rl.methods.losses import PolicyLoss
from textgrad_rl.methods.method import Method
from textgrad_rl.policies.optimizer import Optimizer


def GRPO(
    *,
    learning_rate: float = 1e-6,
    scale: Scale = "std",
    clip_low: float | None = 0.2,
    clip_high: float | None = 0.2,
    aggregation: Aggregation = "sequence_mean",
    length: int | None = None,
    max_grad_norm: float = 1.0,
) -> Method:
    """Return the method: clipped surrogate on group-normalised advantages, mean over sequences of token means.

    Args:
        learning_rate: of AdamW.
        scale: ``"std"`` as in the paper, ``"none"`` as in Dr. GRPO.
        clip_low: range of the ratio below 1; None for no bound.
        clip_high: range above 1; None for no bound.
        aggregation: see :mod:`textgrad_rl.methods.aggregation`.
        length: tokens, for ``aggregation="constant_length"``.
        max_grad_norm: gradients are scaled down to this norm.

    >>> GRPO(learning_rate=1e-5).optimizer.learning_rate
    1e-05
    """
    return Method(
        scale=scale,
        loss=PolicyLoss(term=Clip(low=clip_low, high=clip_high), aggregation=aggregation, length=length),
        optimizer=Optimizer(learning_rate=learning_rate, max_grad_norm=max_grad_norm),
    )
