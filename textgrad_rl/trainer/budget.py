"""A budget over everything training asks of models.

Left out so far: stopping inside a step. The budget is looked at between steps, so a run can exceed it by one step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from textgrad_rl_graphs.errors import ConfigError
from textgrad_rl_graphs.types import Usage


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Upper limits; None for no limit.

    Args:
        calls: model calls.
        tokens: generated tokens, of all models and phases of training (evaluation is apart).
        usd: dollars, where backends tell prices.
        seconds: wall-clock time of ``fit``.
    """

    calls: int | None = None
    tokens: int | None = None
    usd: float | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        """Reject limits that allow nothing."""
        for name in ("calls", "tokens", "usd", "seconds"):
            limit = getattr(self, name)
            if limit is not None and limit <= 0:
                raise ConfigError(f"Budget({name}={limit}) allows nothing; give a positive limit or None")

    def spent(self, usage: Usage, seconds: float) -> str:
        """Return which limit is reached, "" for none."""
        reached = {
            "calls": usage.calls, "tokens": usage.generated_tokens, "usd": usage.usd, "seconds": seconds,
        }  # fmt: skip
        for name, value in reached.items():
            limit = getattr(self, name)
            if limit is not None and value >= limit:
                return f"the budget of {limit:,} {name} is used up"
        return ""
