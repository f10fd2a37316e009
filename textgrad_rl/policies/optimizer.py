"""How a policy's weights move along their gradient: any torch optimizer, a schedule, a bound on the gradient's norm.

An optimizer is named rather than passed (``"torch.optim:SGD"``), so that its settings are names and numbers: they can
be compared when a run is resumed, written to a record and sent to another process.

Left out: schedules in tokens, schedules with restarts.
"""

from __future__ import annotations

import math
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, final, get_args

from textgrad_rl_graphs.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

ADAMW = "torch.optim:AdamW"

Schedule = Literal["constant", "linear", "cosine"]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Optimizer:
    """Settings of AdamW, https://arxiv.org/abs/1711.05101, or of another optimizer, and of its learning rate.

    Args:
        learning_rate: the highest, after the warm-up.
        betas: of AdamW: decay of the running means of gradient and squared gradient.
        weight_decay: of AdamW: decoupled, on every parameter.
        max_grad_norm: a longer gradient is scaled down to this norm.
        warmup_steps: the learning rate grows linearly over so many optimizer steps.
        schedule: how it falls after the warm-up, see :meth:`learning_rate_at`.
        total_steps: optimizer steps, the warm-up's included, after which it has fallen to the floor.
        floor: share of the learning rate below which the schedule does not go.
        factory: ``"module:name"`` of what makes the optimizer from ``(parameters, lr=..., **options)``: a class of
            torch.optim or a function of your own, for instance one that makes groups of parameters. A class or
            function is taken by its name.
        options: what the factory gets besides; names and numbers.

    Raises:
        ConfigError: for values out of range, settings that would have no effect, or a factory that is not found.

    >>> Optimizer(learning_rate=0.1, factory="torch.optim:SGD", options={"momentum": 0.9}).factory
    'torch.optim:SGD'
    """

    learning_rate: float = 1e-6
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    warmup_steps: int = 0
    schedule: Schedule = "constant"
    total_steps: int | None = None
    floor: float = 0.0
    factory: str | Callable[..., Any] = ADAMW
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        """Reject values that cannot train, and settings that nothing would read."""
        if self.learning_rate <= 0:
            raise ConfigError(f"learning_rate must be > 0, got {self.learning_rate}")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ConfigError(f"betas must be in [0, 1), got {self.betas}")
        if self.weight_decay < 0 or self.warmup_steps < 0:
            raise ConfigError("weight_decay and warmup_steps must be >= 0")
        if not self.max_grad_norm > 0:
            raise ConfigError(f"max_grad_norm must be > 0, got {self.max_grad_norm}; inf never scales")
        self._check_schedule()
        name = name_of(self.factory) if callable(self.factory) else self.factory
        object.__setattr__(self, "factory", name)
        if name != ADAMW:
            if (self.betas, self.weight_decay) != ((0.9, 0.95), 0.0):
                raise ConfigError(f"betas and weight_decay are AdamW's; what {name} gets stands in options")
            find(name)
        elif self.options:
            raise ConfigError(f"AdamW takes betas and weight_decay, and no options; got {dict(self.options)}")

    def _check_schedule(self) -> None:
        if self.schedule not in get_args(Schedule):
            raise ConfigError(f"schedule is one of {', '.join(get_args(Schedule))}, got {self.schedule!r}")
        if not 0 <= self.floor <= 1:
            raise ConfigError(f"floor is a share of the learning rate, from 0 to 1, got {self.floor}")
        if self.schedule == "constant":
            if self.total_steps is not None or self.floor:
                raise ConfigError('total_steps and floor need schedule="linear" or "cosine"')
        elif self.total_steps is None or self.total_steps <= self.warmup_steps:
            raise ConfigError(
                f"schedule={self.schedule!r} needs total_steps > warmup_steps ({self.warmup_steps}), "
                f"got {self.total_steps}"
            )

    def learning_rate_at(self, step: int) -> float:
        """Return the learning rate of an optimizer step, counted from 0.

        It grows linearly to the full one at the last step of the warm-up. With ``t`` the share of the steps after it
        that are done, it is then, in units of the full one, ``f + (1 - f) (1 - t)`` (linear) or
        ``f + (1 - f) (1 + cos(pi t)) / 2`` (cosine, https://arxiv.org/abs/1608.03983, eq. 5), ``f`` the floor.

        >>> [Optimizer(learning_rate=1.0, warmup_steps=4).learning_rate_at(step) for step in (0, 1, 3, 9)]
        [0.25, 0.5, 1.0, 1.0]
        >>> falling = Optimizer(learning_rate=1.0, schedule="linear", total_steps=4, floor=0.5)
        >>> [falling.learning_rate_at(step) for step in (0, 1, 2, 3, 4, 9)]
        [1.0, 0.875, 0.75, 0.625, 0.5, 0.5]
        """
        if step < self.warmup_steps:
            return self.learning_rate * ((step + 1) / self.warmup_steps)
        if self.total_steps is None:
            return self.learning_rate
        done = min(1.0, (step - self.warmup_steps) / (self.total_steps - self.warmup_steps))
        left = 1 - done if self.schedule == "linear" else (1 + math.cos(math.pi * done)) / 2
        return self.learning_rate * (self.floor + (1 - self.floor) * left)

    @property
    def settings(self) -> dict[str, Any]:
        """What the optimizer is made with besides the learning rate."""
        if self.factory == ADAMW:
            return {"betas": self.betas, "weight_decay": self.weight_decay, "fused": True}
        return dict(self.options)


def make(config: Optimizer, parameters: Iterable[Tensor]) -> Any:
    """Return the optimizer; :func:`configure` sets the numbers of a step.

    Raises:
        ConfigError: for options that the factory does not take.
    """
    assert isinstance(config.factory, str)
    try:
        made = find(config.factory)(parameters, lr=config.learning_rate, **config.settings)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{config.factory} cannot be made with {config.settings}: {error}") from error
    for group in made.param_groups:  # a factory may give its groups different learning rates
        group["share_of_learning_rate"] = group["lr"] / config.learning_rate
    return made


def configure(optimizer: Any, config: Optimizer, step: int) -> float:
    """Set the numbers of a step and return its learning rate; groups keep their shares of it."""
    learning_rate = config.learning_rate_at(step)
    for group in optimizer.param_groups:
        group.update(config.settings, lr=learning_rate * group["share_of_learning_rate"])
    return learning_rate


def find(name: str) -> Callable[..., Any]:
    """Return what ``"module:name"`` names.

    Raises:
        ConfigError: when nothing that can be called has this name.
    """
    try:
        found = pkgutil.resolve_name(name)
    except (ValueError, ImportError, AttributeError) as error:
        raise ConfigError(f"no optimizer {name!r}: {error}. Write 'module:name', e.g. 'torch.optim:SGD'") from error
    if ":" not in name or not callable(found):
        raise ConfigError(f"{name!r} does not name something to call. Write 'module:name', e.g. 'torch.optim:SGD'")
    return found  # type: ignore[no-any-return]


def name_of(factory: Callable[..., Any]) -> str:
    """Return ``"module:name"`` of a class or function.

    Raises:
        ConfigError: for what another process could not import: a lambda, a closure, an object.

    >>> name_of(math.hypot)
    'math:hypot'
    """
    name = f"{getattr(factory, '__module__', '')}:{getattr(factory, '__qualname__', '')}"
    try:
        found: Any = find(name)
    except ConfigError:
        found = None
    if found is not factory:
        raise ConfigError(
            f"an optimizer's factory is a class or a function of a module, which a resumed run can import; {factory!r} "
            "is none. Write a function at the top of a file and pass it or its name"
        )
    return name
