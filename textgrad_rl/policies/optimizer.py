"""How a policy's weights move along their gradient: AdamW with a linear warm-up and a bound on the gradient's norm.

Left out: decaying schedules, master weights in float32 for bfloat16 models.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from textgrad_rl_graphs.errors import ConfigError

if TYPE_CHECKING:
    from torch.nn import Parameter
    from torch.optim import AdamW


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Optimizer:
    """Settings of AdamW, https://arxiv.org/abs/1711.05101.

    Args:
        learning_rate: after the warm-up.
        betas: decay of the running means of gradient and squared gradient.
        weight_decay: decoupled, on every parameter.
        max_grad_norm: a longer gradient is scaled down to this norm.
        warmup_steps: the learning rate grows linearly over so many steps.

    Raises:
        ConfigError: for values out of range.
    """

    learning_rate: float = 1e-6
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    warmup_steps: int = 0

    def __post_init__(self) -> None:
        """Reject values that cannot train."""
        if self.learning_rate <= 0:
            raise ConfigError(f"learning_rate must be > 0, got {self.learning_rate}")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ConfigError(f"betas must be in [0, 1), got {self.betas}")
        if self.weight_decay < 0 or self.warmup_steps < 0:
            raise ConfigError("weight_decay and warmup_steps must be >= 0")
        if self.max_grad_norm <= 0:
            raise ConfigError(f"max_grad_norm must be > 0, got {self.max_grad_norm}; inf never scales")

    def learning_rate_at(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0.

        >>> [Optimizer(learning_rate=1.0, warmup_steps=4).learning_rate_at(step) for step in (0, 1, 3, 9)]
        [0.25, 0.5, 1.0, 1.0]
        """
        return self.learning_rate * min(1.0, (step + 1) / max(1, self.warmup_steps))


def make_adamw(parameters: Iterable[Parameter]) -> AdamW:
    """Return AdamW over parameters, fused; :func:`configure` sets its numbers."""
    from torch.optim import AdamW

    return AdamW(parameters, fused=True)


def configure(adamw: Any, config: Optimizer, step: int) -> float:
    """Set the numbers of a step and return its learning rate."""
    learning_rate = config.learning_rate_at(step)
    for group in adamw.param_groups:
        group.update(lr=learning_rate, betas=config.betas, weight_decay=config.weight_decay)
    return learning_rate
