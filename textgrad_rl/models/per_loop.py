"""One resource per event loop, closed when that loop ends.

An HTTP client or a semaphore belongs to the event loop it was made in, while a model outlives loops: every plain call
such as ``trainer.fit()`` runs its own. ``asyncio.run`` closes open async generators before it closes the loop, so
a suspended generator is the one place where a resource can wait for the end of its loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Generic, TypeVar, final
from weakref import WeakKeyDictionary

T = TypeVar("T")

_FOREVER_S = 1e9
"""Later than any loop ends."""


@final
class PerLoop(Generic[T]):
    """Makes a resource on its first use in an event loop and closes it with the loop.

    Args:
        make: returns a new resource.
        close: called in the loop, before it closes; None when the resource needs no closing.
    """

    def __init__(self, make: Callable[[], T], close: Callable[[T], Awaitable[None]] | None = None) -> None:
        """Start with no loop."""
        self._make = make
        self._close = close
        self._held: WeakKeyDictionary[asyncio.AbstractEventLoop, tuple[T, AsyncGenerator[None]]] = WeakKeyDictionary()

    async def get(self) -> T:
        """Return the running loop's resource."""
        loop = asyncio.get_running_loop()
        if loop not in self._held:
            resource = self._make()
            guard = self._guard(loop, resource)
            self._held[loop] = (resource, guard)
            # The loop has to hold the guard: it knows its generators weakly, and a model that is dropped while the
            # loop runs would take the guard with it, and with it the last chance to close what is open.
            loop.call_later(_FOREVER_S, id, guard)
            await anext(guard)  # the first step registers the generator with the loop; it never suspends
        return self._held[loop][0]

    async def _guard(self, loop: asyncio.AbstractEventLoop, resource: T) -> AsyncGenerator[None]:
        """Wait, suspended, for the loop to end."""
        try:
            yield
        finally:
            self._held.pop(loop, None)  # the resource may refer to its loop, which would keep the entry alive
            if self._close is not None:
                await self._close(resource)
