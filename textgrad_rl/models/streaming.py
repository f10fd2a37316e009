"""Hearing an answer while it is made.

Between who listens and the model that decodes stand policies, nodes and sessions. They need not know: the listener is
in the context of the call, where the model looks for it. A model that cannot tell before it has answered (a server, a
function), and an answer that was kept from earlier, are just not heard.

Left out: listening to a model on a server while it answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True, slots=True)
class Delta:
    """What an answer has grown by; joined, the deltas are a beginning of the Completion or all of it.

    Args:
        text: what no later token can change any more, so it may be empty.
        output_ids: tokens as sampled.
        logprobs: of every one of them.
    """

    text: str
    output_ids: tuple[int, ...]
    logprobs: tuple[float, ...]

    def __add__(self, later: Delta) -> Delta:
        """Return both as one."""
        return Delta(self.text + later.text, self.output_ids + later.output_ids, self.logprobs + later.logprobs)


OnDelta = Callable[[Delta], None]

_LISTENER: ContextVar[tuple[str, OnDelta | None]] = ContextVar("textgrad_rl_listener", default=("", None))


@contextmanager
def heard(model: str, on_delta: OnDelta | None) -> Iterator[None]:
    """Let ``on_delta`` hear the answer to the one call made inside.

    Args:
        model: the name of the model that is asked; models which that one asks in turn are not heard.
        on_delta: called in the caller's event loop, for the last time before the call returns; None hears nothing.
    """
    token = _LISTENER.set((model, on_delta))
    try:
        yield
    finally:
        _LISTENER.reset(token)


def listener(model: str) -> OnDelta | None:
    """Return who listens to a model of this name, None where nobody does."""
    name, on_delta = _LISTENER.get()
    return on_delta if name == model else None


def settled(text: str, stop: Sequence[str]) -> str:
    """Return the beginning of an unfinished answer that stays whatever comes next.

    Half a character (which decodes to U+FFFD) waits for its other bytes, and what may be the beginning of a stop string
    waits until it is none.

    >>> settled("so 4. En", ["END"]), settled("so 4. EN", ["END"]), settled("so 4\N{REPLACEMENT CHARACTER}", [])
    ('so 4. En', 'so 4. ', 'so 4')
    """
    whole = text.rstrip("\N{REPLACEMENT CHARACTER}")
    ends = [whole.index(end) for end in stop if end in whole]
    begun = [len(whole) - size for end in stop for size in range(1, len(end)) if whole.endswith(end[:size])]
    return whole[: min([*ends, *begun], default=len(whole))]


@final
class GrowingAnswer:
    """An answer under way; made in the listener's event loop.

    Args:
        to_text: detokenizes. Every time from the first token on: pieces decoded apart are not always the text.
        stop: strings that end the answer.
        on_delta: the listener.
    """

    def __init__(self, to_text: Callable[[list[int]], str], stop: Sequence[str], on_delta: OnDelta) -> None:
        """Start without a token."""
        self.loop = asyncio.get_running_loop()
        self._to_text = to_text
        self._stop = stop
        self._on_delta = on_delta
        self._ids: list[int] = []
        self._told = 0

    def add(self, token: int, logprob: float) -> None:
        """Add a token and tell the listener."""
        self._ids.append(token)
        new = settled(self._to_text(self._ids), self._stop)[self._told :]
        self._told += len(new)
        self._on_delta(Delta(new, (token,), (logprob,)))


def grow(news: Sequence[tuple[GrowingAnswer, int, float]]) -> None:
    """Add tokens with their log-probabilities to answers that grow in one event loop, from any thread."""
    if news:
        news[0][0].loop.call_soon_threadsafe(_add, news)


def _add(news: Sequence[tuple[GrowingAnswer, int, float]]) -> None:
    for answer, token, logprob in news:
        answer.add(token, logprob)
