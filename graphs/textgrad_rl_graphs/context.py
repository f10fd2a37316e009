"""What the model calls of a context pass through, from the outside in.

    recording   hears every question and answer
    session     counts and journals, refuses what the budget does not hold
    cache       answers what was answered before, in any process
    source      answers in the place of the models

Everything travels in one context variable: coroutines of one run see it, two runs side by side do not mix.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, final

from textgrad_rl_graphs.answers import Store
from textgrad_rl_graphs.errors import ModelError
from textgrad_rl_graphs.model import Model
from textgrad_rl_graphs.types import Completion, Request

if TYPE_CHECKING:
    from textgrad_rl_graphs.session import Session


class Recording(Protocol):
    """Hears what is asked and answered."""

    def heard(self, model: Model, request: Request, outcome: Completion | ModelError) -> None:
        """Take notice of one call that returned or failed."""
        ...


class Cache(Store, Protocol):
    """A store for every process.

    Attributes:
        recompute: names of models that are left out.
    """

    @property
    def recompute(self) -> Collection[str]: ...


class Source(Protocol):
    """Answers in the place of the models.

    Attributes:
        effects: whether Functions with effects run; else an empty text stands for their result.
    """

    @property
    def effects(self) -> bool: ...

    async def answer(self, model: Model, request: Request) -> Completion:
        """Answer as the model would."""
        ...


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What surrounds a call; ``in_call`` is True for calls that a model makes while it answers."""

    recording: Recording | None = None
    session: Session | None = None
    phase: str = ""
    cache: Cache | None = None
    source: Source | None = None
    in_call: bool = False


NOTHING = Context()
CURRENT: ContextVar[Context] = ContextVar("textgrad_rl_context", default=NOTHING)


@contextmanager
def surrounded(**parts: Any) -> Iterator[None]:
    """Let calls made inside pass through further parts, named as in :class:`Context`."""
    token = CURRENT.set(replace(CURRENT.get(), **parts))
    try:
        yield
    finally:
        CURRENT.reset(token)
