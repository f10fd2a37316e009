"""Requests and tokens per minute: a call waits until it fits below both.

The limit is a sliding window: within any 60 seconds no more requests start, with no more tokens, than allowed. That
stays below a provider's limit whether it counts by the clock's minute or by a leaky bucket.

A call's tokens are known after it. Before, they are estimated: a quarter of the characters of its messages, 1,000 per
image, and as many generated tokens as the answers so far had on average (the first calls: ``max_tokens``, or 256). The
answer's usage then replaces the estimate; a call that fails keeps it, because servers may count those too.
Left out: limits shared by several models or processes, and those that a server announces in its headers.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from math import inf
from threading import Lock
from typing import final

from textgrad_rl_graphs.errors import ConfigError
from textgrad_rl_graphs.types import Request, Usage

WINDOW_S = 60.0
"""Length of the window, in seconds."""

_CHARACTERS_PER_TOKEN = 4
_TOKENS_PER_IMAGE = 1_000
_GENERATED_TOKENS = 256


@dataclass(eq=False, slots=True)
class Booking:
    """When a call may start, in seconds of the caller's clock, and the tokens it counts for."""

    start_s: float
    tokens: float
    counted: bool = True
    """Whether the window still adds it up."""


@final
class Window:
    """Books starts so that those within any 60 seconds stay below both limits.

    Args:
        requests: most starts; ``inf`` for no limit.
        tokens: largest sum of tokens; a call that alone exceeds it counts as the limit, or it would never start.

    >>> window = Window(requests=2, tokens=inf)
    >>> [window.book(100, now_s=7).start_s for _ in range(5)]
    [7, 7, 67.0, 67.0, 127.0]
    """

    def __init__(self, requests: float, tokens: float) -> None:
        """Start with nothing booked."""
        self._most_requests = requests
        self._most_tokens = tokens
        self._start_s = -inf
        self._tokens = 0.0
        self._counted: deque[Booking] = deque()  # those that can still delay a start, in the order of their own

    def book(self, tokens: float, now_s: float) -> Booking:
        """Return the earliest start that fits, never before those booked earlier."""
        tokens = min(tokens, self._most_tokens)
        start = max(now_s, self._start_s)
        while self._counted and (
            self._counted[0].start_s <= start - WINDOW_S
            or len(self._counted) + 1 > self._most_requests
            or self._tokens + tokens > self._most_tokens
        ):
            oldest = self._counted.popleft()
            oldest.counted = False
            self._tokens -= oldest.tokens
            start = max(start, oldest.start_s + WINDOW_S)
        booking = Booking(start, tokens)
        self._counted.append(booking)
        self._tokens += tokens
        self._start_s = start
        return booking

    def correct(self, booking: Booking, tokens: float) -> None:
        """Replace the estimated tokens of a booking by the real ones; other starts that are booked already stay."""
        if booking.counted:
            self._tokens += tokens - booking.tokens
        booking.tokens = tokens


@final
class RateLimit:
    """Holds the calls of one model below a number of requests and of tokens per minute, in all event loops together.

    Args:
        requests_per_minute: None is no limit.
        tokens_per_minute: prompt and generated tokens together; None is no limit.

    Raises:
        ConfigError: for a limit that lets nothing pass.
    """

    def __init__(self, requests_per_minute: float | None, tokens_per_minute: float | None) -> None:
        """Start with an empty window."""
        limits = {"requests_per_minute": requests_per_minute, "tokens_per_minute": tokens_per_minute}
        for name, limit in limits.items():
            if limit is not None and not limit >= 1:
                raise ConfigError(f"{name} must be >= 1 or None, got {limit!r}")
        requests, tokens = (inf if limit is None else limit for limit in limits.values())
        self._window = None if requests == tokens == inf else Window(requests, tokens)
        self._lock = Lock()  # event loops may run in different threads
        self._generated = 0
        self._answers = 0

    async def admit(self, request: Request) -> Booking | None:
        """Wait until a call may start; hand what this returns to :meth:`correct` with the answer."""
        if self._window is None:
            return None
        now = time.monotonic()
        mean = self._generated / self._answers if self._answers else None
        with self._lock:
            booking = self._window.book(estimated_tokens(request, mean), now)
        try:
            if booking.start_s > now:
                await asyncio.sleep(booking.start_s - now)
        except asyncio.CancelledError:
            with self._lock:
                self._window.correct(booking, 0)  # never made
            raise
        return booking

    def correct(self, booking: Booking | None, usage: Usage) -> None:
        """Learn from an answer what its call really took."""
        used = usage.prompt_tokens + usage.generated_tokens
        if self._window is None or booking is None or not used:  # some servers do not tell
            return
        with self._lock:
            self._answers += 1
            self._generated += usage.generated_tokens
            self._window.correct(booking, used)


def estimated_tokens(request: Request, mean_generated: float | None) -> float:
    """Return the tokens that a call will probably take; see the module.

    Args:
        request: the call.
        mean_generated: generated tokens of an answer so far, None before the first.

    >>> from textgrad_rl_graphs.types import Message, Sampling
    >>> request = Request(messages=(Message("user", "12 letters.."),), sampling=Sampling(max_tokens=100))
    >>> [estimated_tokens(request, mean) for mean in (None, 20, 1000)]
    [103.0, 23.0, 103.0]
    """
    characters = sum(len(message.content) for message in request.messages)
    images = sum(len(message.images) for message in request.messages)
    most = request.sampling.max_tokens
    generated = (most or _GENERATED_TOKENS) if mean_generated is None else min(mean_generated, most or inf)
    return characters / _CHARACTERS_PER_TOKEN + images * _TOKENS_PER_IMAGE + generated
