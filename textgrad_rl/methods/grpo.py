"""GRPO: group-relative policy optimisation from scores alone.

Source: https://arxiv.org/abs/2402.03300. Without the KL term (off by default in the present practice).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from textgrad_rl.methods.advantages import Scale
from textgrad_rl.methods.losses import Aggregation, PolicyLoss
from textgrad_rl.policies.optimizer import Optimizer


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class GRPO:
    """Clipped surrogate on group-normalised advantages, mean over sequences of token means.

    Args:
        learning_rate: of AdamW.
        scale: ``"std"`` as in the paper, ``"none"`` as in Dr. GRPO.
        clip_low, clip_high: clip range; None for no clipping.
        aggregation, length: see :class:`textgrad_rl.methods.losses.PolicyLoss`.
        max_grad_norm: gradients are scaled down to this norm.
    """

    learning_rate: float = 1e-6
    scale: Scale = "std"
    clip_low: float | None = 0.2
    clip_high: float | None = 0.2
    aggregation: Aggregation = "sequence_mean"
    length: int | None = None
    max_grad_norm: float = 1.0

    @property
    def loss(self) -> PolicyLoss:
        """The loss, as names and numbers."""
        return PolicyLoss(
            clip_low=self.clip_low, clip_high=self.clip_high, aggregation=self.aggregation, length=self.length
        )

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer's settings."""
        return Optimizer(learning_rate=self.learning_rate, max_grad_norm=self.max_grad_norm)
