"""Where model calls and effects pass through: one place to count, journal, cache, record and limit them.

Every part of the library asks models through :func:`ask`. On its own that is a plain call. What else happens is in the
context (:mod:`textgrad_rl_graphs.context`): inside a session, which the trainer opens, usage is added to the current
phase, answers are journaled as they return, so that a run that is killed and started again does not pay twice, and a
call that the budget does not hold is refused before it leaves.

Left out: rate limits and retries, which belong to the backends.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, final

from textgrad_rl_graphs.answers import Store, answer_record, read_answer, request_key
from textgrad_rl_graphs.budget import Admission, Budget
from textgrad_rl_graphs.context import CURRENT, NOTHING, Cache, Context, surrounded
from textgrad_rl_graphs.errors import BudgetError, ModelError
from textgrad_rl_graphs.hashing import digest
from textgrad_rl_graphs.model import Model
from textgrad_rl_graphs.types import Completion, Request, Usage


@final
class Session:
    """Meters, journals and limits the model calls of one run.

    Args:
        journal: where answers are kept, or None.
        recompute: names of in-process models that are deterministic, and so are asked again rather than kept.
        budget: what calls may take in all; a budget that is not hard is the caller's to look at.
        identity: what the run is. Answers of weights that have moved are only cached for runs of one identity: the
            same number of updates elsewhere made other weights.

    Attributes:
        usage: by phase, answers from the journal included: they were paid for in this run. Cached ones cost nothing.
        replayed: answers that came from the journal.
        cached: answers that came from a cache.
        asked: calls of every role but ``"solve"`` (those are in the traces) since the list was last cleared.
    """

    def __init__(
        self,
        journal: Store | None = None,
        *,
        recompute: frozenset[str] = frozenset(),
        budget: Budget | None = None,
        identity: str = "",
    ) -> None:
        """Start with empty meters."""
        self.journal = journal
        self.recompute = recompute
        self.identity = identity
        self.usage: dict[str, Usage] = defaultdict(Usage)
        self.replayed = 0
        self.cached = 0
        self.asked: list[tuple[Request, Completion]] = []
        self._admission = Admission(budget, self.total) if budget is not None and budget.enforced else None
        self._in_flight: set[asyncio.Task[Completion]] = set()
        self._over = False

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count calls made inside under ``name``."""
        with surrounded(session=self, phase=name):
            yield

    def total(self, *, without: tuple[str, ...] = ()) -> Usage:
        """Return the usage of all phases but those named."""
        return Usage.sum([usage for name, usage in self.usage.items() if name not in without])

    @property
    def refused(self) -> str:
        """Why the budget refused a call, "" while it has not."""
        return "" if self._admission is None else self._admission.refused

    async def finish(self) -> None:
        """Let no further call leave, and wait for those in flight: they are paid, so their answers are kept."""
        self._over = True
        loop = asyncio.get_running_loop()
        while mine := [task for task in self._in_flight if task.get_loop() is loop]:
            await asyncio.wait(mine)

    async def ask(self, model: Model, request: Request, context: Context) -> Completion:
        """Return the answer from the journal, a cache or the model, and count it."""
        kept = model.name not in self.recompute
        journal = self.journal if kept else None
        key = request_key(model, request) if journal is not None else ""
        entry = None if journal is None else journal.get(key)
        if entry is not None:
            completion = read_answer(entry)
            self.replayed += 1
            self._count(context.phase, completion, free=entry.get("cached", False))
        else:
            completion = await self._fetch(model, request, context, journal, key, context.cache if kept else None)
        if request.role != "solve":
            self.asked.append((request, completion))
        return completion

    async def _fetch(
        self, model: Model, request: Request, context: Context, journal: Store | None, key: str, cache: Cache | None
    ) -> Completion:
        """Return an answer that the journal does not have."""
        cache_key = _cache_key(model, request, cache, self.identity)
        if cache is not None and cache_key and (entry := cache.get(cache_key)) is not None:
            completion = read_answer(entry)
            if journal is not None:
                journal.put(key, {**entry, "cached": True})
            self._count(context.phase, completion, free=True)
            return completion
        if self._over:
            raise BudgetError("the run has ended; this call was still on its way")
        if journal is None and self._admission is None and not cache_key:
            completion = await _complete(model, request, context)
            self._count(context.phase, completion)
            return completion
        # A task of its own: who asks may be cancelled, the answer is paid all the same.
        ticket = 0
        if self._admission is not None:
            ticket = await self._admission.enter(model, request, wait=not context.in_call)

        async def call() -> Completion:
            completion = None
            CURRENT.set(replace(context, in_call=True))  # this task's context alone
            try:
                completion = await _complete(model, request, context)
                if journal is not None:
                    journal.put(key, answer_record(completion))
                if cache is not None and cache_key:
                    cache.put(cache_key, answer_record(completion))
                self._count(context.phase, completion)
            finally:
                if self._admission is not None:
                    self._admission.leave(ticket, model, request, None if completion is None else completion.usage)
            return completion

        task = asyncio.create_task(call())
        self._in_flight.add(task)
        task.add_done_callback(self._in_flight.discard)
        return await asyncio.shield(task)

    def _count(self, phase: str, completion: Completion, *, free: bool = False) -> None:
        if free:
            self.cached += 1
        else:
            self.usage[phase] += completion.usage


async def ask(model: Model, request: Request) -> Completion:
    """Ask a model, through whatever the context holds.

    Raises:
        ModelError: from the model.
        BudgetError: when the session's budget does not hold the call.
    """
    context = CURRENT.get()
    if context is NOTHING:
        return await model.complete(request)
    try:
        completion = await (context.session or Session()).ask(model, request, context)
    except ModelError as error:
        if context.recording is not None:
            context.recording.heard(model, request, error)
        raise
    if context.recording is not None:
        context.recording.heard(model, request, completion)
    return completion


async def perform(key: str, effect: Callable[[], Awaitable[Any]]) -> Any:
    """Perform an effect of a Function once per key: a journaled result is returned instead of repeating it.

    Only results that JSON can carry are journaled.
    """
    context = CURRENT.get()
    if context.source is not None and not context.source.effects:
        return ""
    journal = None if context.session is None else context.session.journal
    if journal is None:
        return await effect()
    entry = journal.get(key)
    if entry is not None:
        return entry["result"]
    result = await effect()
    if _is_json(result):
        journal.put(key, {"result": result})
    return result


async def _complete(model: Model, request: Request, context: Context) -> Completion:
    """Return a new answer, from the model or from what stands in its place."""
    return await (model.complete(request) if context.source is None else context.source.answer(model, request))


def _cache_key(model: Model, request: Request, cache: Cache | None, identity: str) -> str:
    """Return the key under which every process finds an answer, "" where it must not be cached."""
    if cache is None or model.name in cache.recompute or (model.weight_version and not identity):
        return ""
    key = request_key(model, request)
    return digest(identity, key) if model.weight_version else key


def _is_json(value: object) -> bool:
    """True for what JSON gives back unchanged."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            if not all(isinstance(key, str) for key in item):
                return False
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
        elif not (item is None or type(item) in (str, int, float, bool)):
            return False
    return True
