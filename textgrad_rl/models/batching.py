"""Gathering what is pending: concurrent callers of a local model are answered as one batch.

A batch leaves when the event loop is quiet: when some turns of it have passed without a new item. Turns, not time, so
that the same program gathers the same batches on a slow machine and on a fast one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Generic, TypeVar, final
from weakref import WeakKeyDictionary

Item = TypeVar("Item")
Result = TypeVar("Result")

_QUIET_TURNS = 20
"""Turns of the loop without a new item. A coroutine that is on its way to the model needs one turn per task it starts
or waits for, so this is how deep a graph's tasks may nest without falling into different batches."""

_WAIT_S = 0.002
"""Seconds that answers from other threads and machines are given to join a batch."""


@final
class Batcher(Generic[Item, Result]):
    """Answers items in batches.

    Args:
        run: answers a batch, one result or exception per item, in order; it blocks.
        inline: True runs batches in the event loop's thread and never waits for time to pass; False runs them in
            a thread of their own, so that the loop goes on.
    """

    def __init__(self, run: Callable[[Sequence[Item]], Sequence[Result | Exception]], *, inline: bool) -> None:
        """Start with nothing pending."""
        self._run = run
        self._executor = None if inline else ThreadPoolExecutor(max_workers=1, thread_name_prefix="batcher")
        self._queues: WeakKeyDictionary[asyncio.AbstractEventLoop, _Queue[Item, Result]] = WeakKeyDictionary()

    async def ask(self, item: Item) -> Result:
        """Answer one item together with whatever else is pending.

        Raises:
            Exception: the one that ``run`` returned for this item, or raised for the batch.
        """
        loop = asyncio.get_running_loop()
        queue = self._queues.get(loop)
        if queue is None or queue.worker.done():
            queue = self._queues[loop] = _Queue(self._run, self._executor)
            queue.worker.add_done_callback(partial(self._forget, loop, queue))
        future: asyncio.Future[Result] = loop.create_future()
        queue.pending.append((item, future))
        return await future

    def _forget(self, loop: asyncio.AbstractEventLoop, queue: _Queue[Item, Result], _: asyncio.Task[None]) -> None:
        """Drop a queue that is done: its task refers to the loop and would keep both alive."""
        if self._queues.get(loop) is queue:
            del self._queues[loop]


class _Queue(Generic[Item, Result]):
    """What is pending in one event loop, and the task that answers it; the task ends when nothing is left."""

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Sequence[Result | Exception]],
        executor: ThreadPoolExecutor | None,
    ) -> None:
        self.run = run
        self.executor = executor
        self.pending: list[tuple[Item, asyncio.Future[Result]]] = []
        self.worker = asyncio.get_running_loop().create_task(self.work())

    async def work(self) -> None:
        """Answer batches until nothing is pending."""
        try:
            while self.pending:
                await self.quiet()
                batch = [(item, future) for item, future in self.pending if not future.done()]
                self.pending = []
                if batch:
                    await self.answer(batch)
        finally:
            for _, future in self.pending:  # only when this task is cancelled, with its loop
                future.cancel()

    async def quiet(self) -> None:
        """Return when the event loop brings no new items."""
        await self.turns()
        if self.executor is not None:
            await asyncio.sleep(_WAIT_S)
            await self.turns()

    async def turns(self) -> None:
        """Return after some turns of the loop without a new item."""
        seen, turns = len(self.pending), 0
        while turns < _QUIET_TURNS:
            await asyncio.sleep(0)
            turns = turns + 1 if len(self.pending) == seen else 0
            seen = len(self.pending)

    async def answer(self, batch: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        """Run one batch and hand every caller its result."""
        items = [item for item, _ in batch]
        results: Sequence[Result | Exception]
        try:
            if self.executor is None:
                results = self.run(items)
            else:
                results = await asyncio.get_running_loop().run_in_executor(self.executor, self.run, items)
            if len(results) != len(items):
                raise RuntimeError(f"{len(items)} items, {len(results)} results")  # callers would wait forever
        except Exception as error:
            results = [error] * len(items)
        except BaseException:
            for _, future in batch:
                future.cancel()
            raise
        for (_, future), result in zip(batch, results, strict=True):
            if future.done():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
