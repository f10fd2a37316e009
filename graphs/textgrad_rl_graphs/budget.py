"""A budget over everything a run asks of models, enforced where calls leave.

    a call leaves if    used + reserved by calls in flight + its own reservation  <=  limit

A reservation is one call, and as many tokens and dollars as the call may take: ``max_tokens`` where the request has
one, else the longest (dearest) answer of the same model in the same role so far. A call that does not fit beside those
in flight waits for one of them to return, because answers are mostly shorter than what is reserved for them. One that
does not fit alone is refused.

So the limit of calls always holds, and the limit of tokens holds where requests carry ``max_tokens``. Otherwise the
limit is exceeded by at most the calls in flight times what their answers are longer than the longest before; the first
call of its kind goes alone. ``seconds`` counts when calls leave: those in flight at the end are finished.

Left out: prices before a call; dollars are learned from the answers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from textgrad_rl_graphs.errors import BudgetError, ConfigError
from textgrad_rl_graphs.model import Model
from textgrad_rl_graphs.types import Request, Usage

_LIMITS = ("calls", "tokens", "usd", "seconds")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Upper limits; None for no limit.

    Args:
        calls: answered model calls.
        tokens: generated tokens.
        usd: dollars, where backends tell prices.
        seconds: wall-clock time of ``fit``.
        hard: True counts every phase, evaluation and gate too, and refuses a call that would exceed a limit. False
            counts training alone and is looked at between steps: a yardstick to compare runs by, which a run exceeds
            by the rest of a step.

    Raises:
        ConfigError: for limits that allow nothing.

    >>> Budget(calls=100).spent(Usage(calls=100), seconds=3.0)
    'the budget of 100 calls is used up'
    """

    calls: int | None = None
    tokens: int | None = None
    usd: float | None = None
    seconds: float | None = None
    hard: bool = True

    def __post_init__(self) -> None:
        """Reject limits that allow nothing."""
        for name in _LIMITS:
            limit = getattr(self, name)
            if limit is not None and limit <= 0:
                raise ConfigError(f"Budget({name}={limit}) allows nothing; give a positive limit or None")

    @property
    def enforced(self) -> bool:
        """True when there is a limit that calls are held to."""
        return self.hard and any(getattr(self, name) is not None for name in _LIMITS)

    def spent(self, usage: Usage, seconds: float) -> str:
        """Return which limit is reached, "" for none."""
        for name, used in _amounts(usage, seconds).items():
            limit = getattr(self, name)
            if limit is not None and used >= limit:
                return f"the budget of {limit:,} {name} is used up"
        return ""

    def exceeded(self, used: Usage, wanted: Usage) -> str:
        """Return which limit a call would exceed, "" for none.

        Args:
            used: what is used, or reserved by others.
            wanted: what the call may take.
        """
        want = _amounts(wanted, 0.0)
        for name, amount in _amounts(used, 0.0).items():
            limit = getattr(self, name)
            if limit is not None and amount + want[name] > limit:
                return (
                    f"the budget of {limit:,} {name} is used up: {amount:,} used, and the next call may take "
                    f"{want[name]:,}"
                )
        return ""


def _amounts(usage: Usage, seconds: float) -> dict[str, float]:
    return {"calls": usage.calls, "tokens": usage.generated_tokens, "usd": usage.usd, "seconds": seconds}


@final
class Admission:
    """Lets calls leave, first come, first served, while a budget holds them.

    Args:
        budget: the limits.
        used: tells what has been used so far.

    Attributes:
        refused: why the first call was refused, "" while none was. From then on every call is.
    """

    def __init__(self, budget: Budget, used: Callable[[], Usage]) -> None:
        """Start the clock."""
        self.refused = ""
        self._budget = budget
        self._used = used
        self._started = time.perf_counter()
        self._reserved: dict[int, Usage] = {}
        self._held = Usage()
        self._next = 0
        self._uncounted = 0
        self._longest: dict[tuple[str, str], Usage] = {}
        self._queue = asyncio.Lock()
        self._returned = asyncio.Event()

    async def enter(self, model: Model, request: Request, *, wait: bool = True) -> int:
        """Return a ticket for :meth:`leave` once the call may leave.

        Args:
            model: who is asked.
            request: what is asked.
            wait: False refuses where True would wait for calls in flight; for a call that one of these depends on.

        Raises:
            BudgetError: when the budget does not hold the call.
        """
        if not wait:
            return self._admit(model, request)
        async with self._queue:
            while self._has_to_wait(model, request):
                self._returned.clear()
                await self._returned.wait()
            return self._admit(model, request)

    def _has_to_wait(self, model: Model, request: Request) -> bool:
        """Tell whether calls in flight have to return before it is clear if this one fits."""
        if not self._reserved or self._spent():
            return False
        wanted = self._wanted(model, request)
        return wanted is None or bool(self._budget.exceeded(self._taken(), wanted))

    def _admit(self, model: Model, request: Request) -> int:
        """Reserve what the call may take, or refuse it."""
        wanted = self._wanted(model, request) or Usage(calls=1, generated_tokens=1)
        self.refused = self._spent() or self._budget.exceeded(self._taken(), wanted)
        if self.refused:
            raise BudgetError(self.refused)
        self._next += 1
        self._reserved[self._next] = wanted
        self._held += wanted
        return self._next

    def leave(self, ticket: int, model: Model, request: Request, taken: Usage | None) -> None:
        """Give back what was reserved for a call that returned; ``taken`` is None when it failed."""
        back = self._reserved.pop(ticket)
        self._held += Usage(0, -back.generated_tokens, -back.calls, -back.usd)
        if not self._reserved:
            self._held = Usage()  # and no error of rounding is left
        if taken is None or not taken.calls:
            self._uncounted += 1  # it left all the same
        if taken is not None:
            kind = (model.name, request.role)
            known = self._longest.get(kind, Usage())
            self._longest[kind] = Usage(
                generated_tokens=max(known.generated_tokens, taken.generated_tokens), usd=max(known.usd, taken.usd)
            )
        self._returned.set()

    def _used_up(self) -> Usage:
        return self._used() + Usage(calls=self._uncounted)

    def _taken(self) -> Usage:
        """Return what is used, or reserved by calls in flight."""
        return self._used_up() + self._held

    def _spent(self) -> str:
        """Return why nothing leaves any more, "" while something may."""
        return self.refused or self._budget.spent(self._used_up(), time.perf_counter() - self._started)

    def _wanted(self, model: Model, request: Request) -> Usage | None:
        """Return what a call may take; None when nothing tells."""
        known, most = self._longest.get((model.name, request.role)), request.sampling.max_tokens
        if known is None and ((most is None and self._budget.tokens is not None) or self._budget.usd is not None):
            return None
        known = known or Usage()
        return Usage(calls=1, generated_tokens=max(1, most or known.generated_tokens), usd=known.usd)
