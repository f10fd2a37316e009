"""What a method for training weights is to the trainer."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from textgrad_rl.methods.advantages import Scale
from textgrad_rl.methods.losses import PolicyLoss
from textgrad_rl.policies.optimizer import Optimizer


@runtime_checkable
class WeightMethod(Protocol):
    """An advantage scale, a loss and optimizer settings; e.g. GRPO, CritiqueGRPO."""

    @property
    def scale(self) -> Scale: ...
    @property
    def loss(self) -> PolicyLoss: ...
    @property
    def optimizer(self) -> Optimizer: ...
