"""Where model calls and effects pass through: one place to meter and journal them.

Every part of the library asks models through :func:`ask`. Outside a session that is a plain call. Inside one (the
trainer opens it) usage is added to the current phase, and answers are journaled as they return, so that a run that
is killed and started again does not pay twice.

The current session travels in a context variable: coroutines of one run see it, two runs side by side do not mix.
Left out: rate limits and retries, which belong to the backends.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol, final

from textgrad_rl_graphs.hashing import digest
from textgrad_rl_graphs.model import Model
from textgrad_rl_graphs.types import Completion, Request, Usage


class Journal(Protocol):
    """Remembers answers by content key; :class:`textgrad_rl_graphs.journal.FileJournal` keeps them on disk."""

    def get(self, key: str) -> Mapping[str, Any] | None:
        """Return the entry stored under a key, or None."""
        ...

    def put(self, key: str, entry: Mapping[str, Any]) -> None:
        """Store an entry; it is on its way to the disk when this returns."""
        ...


@final
class Session:
    """Meters and journals the model calls of one run.

    Args:
        journal: where answers are kept, or None.
        recompute: names of in-process models that are deterministic, and so are asked again rather than journaled.

    Attributes:
        usage: by phase, answers from the journal included: they were paid for in this run.
        replayed: answers that came from the journal.
        asked: calls of every role but ``"solve"`` (those are in the traces) since the list was last cleared.
    """

    def __init__(self, journal: Journal | None = None, *, recompute: frozenset[str] = frozenset()) -> None:
        """Start with empty meters."""
        self.journal = journal
        self.recompute = recompute
        self.usage: dict[str, Usage] = defaultdict(Usage)
        self.replayed = 0
        self.asked: list[tuple[Request, Completion]] = []

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count calls made inside under ``name``."""
        token = _CURRENT.set((self, name))
        try:
            yield
        finally:
            _CURRENT.reset(token)

    def total(self, *, without: tuple[str, ...] = ()) -> Usage:
        """Return the usage of all phases but those named."""
        return sum((usage for name, usage in self.usage.items() if name not in without), Usage())


_CURRENT: ContextVar[tuple[Session, str] | None] = ContextVar("textgrad_rl_session", default=None)


async def ask(model: Model, request: Request) -> Completion:
    """Ask a model, through the current session if there is one.

    Raises:
        ModelError: from the model.
    """
    current = _CURRENT.get()
    if current is None:
        return await model.complete(request)
    session, phase = current
    journal = None if model.name in session.recompute else session.journal
    key = "" if journal is None else _request_key(model, request)
    entry = None if journal is None else journal.get(key)
    if entry is not None:
        completion = _completion(entry)
        session.replayed += 1
    else:
        completion = await model.complete(request)
        if journal is not None:
            journal.put(key, _entry(completion))
    session.usage[phase] += completion.usage
    if request.role != "solve":
        session.asked.append((request, completion))
    return completion


async def perform(key: str, effect: Callable[[], Awaitable[Any]]) -> Any:
    """Perform an effect of a Function once per key: a journaled result is returned instead of repeating it.

    Only results that JSON can carry are journaled.
    """
    current = _CURRENT.get()
    journal = None if current is None else current[0].journal
    if journal is None:
        return await effect()
    entry = journal.get(key)
    if entry is not None:
        return entry["result"]
    result = await effect()
    if _is_json(result):
        journal.put(key, {"result": result})
    return result


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


def _request_key(model: Model, request: Request) -> str:
    sampling = request.sampling
    return digest(
        "request", model.name, model.weight_version, request.role, request.seed,
        sampling.temperature, sampling.max_tokens, sampling.top_p, sampling.stop,
        request.history_ids,
        *((message.role, message.content, *map(str, message.images)) for message in request.messages),
        *(() if request.schema is None else (json.dumps(request.schema, sort_keys=True),)),
    )  # fmt: skip


def _entry(completion: Completion) -> dict[str, Any]:
    usage = completion.usage
    return {
        "text": completion.text,
        "finish_reason": completion.finish_reason,
        "usage": [usage.prompt_tokens, usage.generated_tokens, usage.calls, usage.usd],
        "prompt_ids": list(completion.prompt_ids),
        "output_ids": list(completion.output_ids),
        "logprobs": list(completion.logprobs),
        "model": completion.model,
        "weight_version": completion.weight_version,
    }


def _completion(entry: Mapping[str, Any]) -> Completion:
    return Completion(
        text=entry["text"],
        finish_reason=entry["finish_reason"],
        usage=Usage(*entry["usage"]),
        prompt_ids=tuple(entry["prompt_ids"]),
        output_ids=tuple(entry["output_ids"]),
        logprobs=tuple(entry["logprobs"]),
        model=entry["model"],
        weight_version=entry["weight_version"],
    )
