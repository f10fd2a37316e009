"""Critique-GRPO: learn from samples and from critique-guided refinements at once.

    J = (1/n) sum_i sum_t min(rho A, clip(rho) A) + (1/k) sum_i' sum_t f(pi) A',   f(p) = p / (p + gamma)

with A = R - mean over the n samples and the k kept refinements, no division by the standard deviation, no length
normalisation, no KL. Refinement tokens are trained under the question alone.

Source: https://arxiv.org/abs/2506.03106. Where paper and released code differ: :mod:`textgrad_rl.methods.presets`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from textgrad_rl.methods.advantages import Scale
from textgrad_rl.methods.losses import Aggregation, PolicyLoss
from textgrad_rl.policies.optimizer import Optimizer


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CritiqueGRPO:
    """Clipped surrogate on samples, shaped term on refinements.

    Args:
        learning_rate: of AdamW.
        gamma: policy shaping.
        scale: ``"none"`` as in the paper, ``"std"`` as in the released code.
        clip_low, clip_high: clip range; None for no clipping.
        clip_refinements: whether the shaped term is clipped too.
        aggregation, length: see :class:`textgrad_rl.methods.losses.PolicyLoss`.
        max_grad_norm: gradients are scaled down to this norm.
    """

    learning_rate: float = 1e-6
    gamma: float = 0.1
    scale: Scale = "none"
    clip_low: float | None = 0.2
    clip_high: float | None = 0.2
    clip_refinements: bool = False
    aggregation: Aggregation = "group_sum"
    length: int | None = None
    max_grad_norm: float = 1.0

    @property
    def loss(self) -> PolicyLoss:
        """The loss, as names and numbers."""
        return PolicyLoss(
            clip_low=self.clip_low, clip_high=self.clip_high, clip_refinements=self.clip_refinements,
            gamma=self.gamma, aggregation=self.aggregation, length=self.length,
        )  # fmt: skip

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer's settings."""
        return Optimizer(learning_rate=self.learning_rate, max_grad_norm=self.max_grad_norm)
