"""When the calls of one model leave: a free slot, the rate limit, and again after failures that may pass.

Every attempt takes its own slot and its own place in the rate limit; the wait before a retry holds neither, so a call
that fails holds up no other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import final

from textgrad_rl.models.per_loop import PerLoop
from textgrad_rl.models.rate_limit import RateLimit
from textgrad_rl.models.retry import with_retries
from textgrad_rl_graphs.errors import ConfigError
from textgrad_rl_graphs.types import Completion, Request


@final
class Dispatcher:
    """Sends the calls of one model.

    Args:
        max_concurrency: calls under way at a time in one event loop; further ones wait in order.
        retries: attempts after the first.
        requests_per_minute, tokens_per_minute: see :class:`textgrad_rl.models.rate_limit.RateLimit`.

    Raises:
        ConfigError: for a setting that lets nothing pass.
    """

    def __init__(
        self,
        *,
        max_concurrency: int,
        retries: int,
        requests_per_minute: float | None,
        tokens_per_minute: float | None,
    ) -> None:
        """Check the settings."""
        if max_concurrency < 1:
            raise ConfigError(f"max_concurrency must be >= 1, got {max_concurrency}")
        if retries < 0:
            raise ConfigError(f"retries must be >= 0, got {retries}")
        self._retries = retries
        self._limit = RateLimit(requests_per_minute, tokens_per_minute)
        self._slots = PerLoop(lambda: asyncio.Semaphore(max_concurrency))

    async def send(self, request: Request, attempt: Callable[[], Awaitable[Completion]]) -> Completion:
        """Return what one of the attempts brings.

        Args:
            request: tells how much the rate limit counts.
            attempt: makes the call once.

        Raises:
            ModelError: from the attempt, or retryable when the last one failed too.
        """
        slots = await self._slots.get()

        async def admitted() -> Completion:
            async with slots:
                booking = await self._limit.admit(request)
                completion = await attempt()
            self._limit.correct(booking, completion.usage)
            return completion

        return await with_retries(admitted, retries=self._retries)
