"""One run of a graph: its calls, under keys that do not depend on timing.

A call key is ``hash(node path, keys of the input Values, prompt version, branch, occurrence among equals)``. Two calls
that are equal in all of these differ only by their order, and so are interchangeable. The branch tells concurrent
coroutines apart (the branches of an ``asyncio.gather``), whose order may depend on timing: it is the key of the first
call that the coroutine's task made, and empty for the task that runs ``forward``. That first call itself belongs to
the branch it was started from; tasks start in the order of the program, so equal first calls are in its order too,
unless a branch waits for something other than a node before it.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Mapping
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, final

from textgrad_rl_graphs.hashing import digest, digest_text, seed_of_text
from textgrad_rl_graphs.types import Completion, Example, Message, Usage
from textgrad_rl_graphs.value import Value

if TYPE_CHECKING:
    import networkx

    from textgrad_rl_graphs.graph import Graph
    from textgrad_rl_graphs.node import Node


@dataclass(slots=True, eq=False)
class Call:
    """One call of a node.

    Attributes:
        key: the call key.
        path: the node's path in the graph.
        node: the node itself.
        inputs: the Values it read, by name.
        prompt_version: version of its trainable text, "" without any.
        occurrence: how many equal calls came before it in this run.
        output: the Value it made; None while it runs or after it failed.
        messages: what an LLM node sent.
        completion: what its model answered.
        refined: True when the response was put in by a refinement.
    """

    key: str
    path: str
    node: Node
    inputs: Mapping[str, Value]
    prompt_version: str
    occurrence: int
    output: Value | None = None
    messages: tuple[Message, ...] = ()
    completion: Completion | None = None
    refined: bool = False

    @property
    def text(self) -> str:
        """What came out, also where it could not be used; empty while it runs or when nothing did."""
        if self.output is not None:
            return self.output.text
        return "" if self.completion is None else self.completion.text


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a run, a critique or a backward call came to no result.

    Attributes:
        where: the node path or the part of the loop.
        reason: what happened.
        kind: ``"policy"`` if the model under training is to blame, ``"infrastructure"`` otherwise.
        usage: what was paid for nothing, where nothing else tells.
    """

    where: str
    reason: str
    kind: Literal["policy", "infrastructure"] = "infrastructure"
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class Replay:
    """What a run takes from an earlier one.

    Attributes:
        source: unchanged calls are taken from here.
        responses: call key -> the completion that replaces the model's.
    """

    source: Trace
    responses: Mapping[str, Completion]


@final
@dataclass(slots=True, eq=False, repr=False)
class Trace:
    """The record of one run of a graph on one example.

    Attributes:
        graph: the graph that ran.
        example: what it ran on.
        sample, step, seed: what, beside the example's id, the run's seeds are derived from.
        replay: what it takes from an earlier run.
        versionless: keys leave prompt versions out, so that two versions of a prompt run with common seeds.
        inputs: the Values ``forward`` was given.
        output: what ``forward`` returned; None when the run failed.
        failure: why it failed.
        calls: every call by key, in the order in which they started (see :meth:`ordered` for a stable one).
        replayed, live: after a refinement, how many calls were taken over and how many ran again.
        diverged: call keys of the source that the re-run did not reach.
    """

    graph: Graph
    example: Example
    sample: int = 0
    step: int = 0
    seed: int = 0
    replay: Replay | None = None
    versionless: bool = False
    inputs: dict[str, Value] = field(default_factory=dict)
    output: Value | None = None
    failure: Failure | None = None
    calls: dict[str, Call] = field(default_factory=dict)
    replayed: int = 0
    live: int = 0
    diverged: tuple[str, ...] = ()
    _root: str = ""
    _seen: dict[str, int] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Show which run it is and how long; all its calls would be a page per call."""
        return f"Trace({self.id!r}, calls={len(self.calls)}, output={self.output!r}, failure={self.failure!r})"

    @property
    def example_id(self) -> str:
        """The example's id."""
        return self.example.key

    @property
    def group(self) -> str:
        """Traces of one group answer the same example in the same step."""
        return f"{self.step}/{self.example_id}"

    @property
    def id(self) -> str:
        """Identity within a run: step, example, sample, and what was replaced in it."""
        base = f"{self.group}/{self.sample}"
        if self.replay is None:
            return base
        responses = self.replay.responses
        return f"{base}/{digest(self.replay.source.id, *sorted((key, responses[key].text) for key in responses))}"

    @property
    def usage(self) -> Usage:
        """The sum over its LLM calls."""
        return Usage.sum([call.completion.usage for call in self.calls.values() if call.completion])

    def open_call(self, node: Node, path: str, inputs: Mapping[str, Value], prompt_version: str) -> Call:
        """Register a call under its key; before the node first waits: then the order of equals is the program's."""
        task, (owner, branch) = _current_task(), _BRANCH.get()
        read = [f"{name}={value.key}" for name, value in inputs.items()]
        # The unit separator stands in no path and no input's name.
        key = digest_text("\x1f".join(["" if self.versionless else prompt_version, branch, path, *read]))
        occurrence = self._seen.get(key, 0)
        self._seen[key] = occurrence + 1
        call = Call(digest(key, occurrence) if occurrence else key, path, node, inputs, prompt_version, occurrence)
        self.calls[call.key] = call
        if task is not owner:
            _BRANCH.set((task, call.key))
        return call

    def seed_for(self, call_key: str, role: str, attempt: int = 0) -> int:
        """Return ``hash(run seed, step, example, sample, call key, role, attempt)``."""
        if not self._root:
            self._root = digest("seed", self.seed, self.step, self.example_id, self.sample)
        return seed_of_text(f"{self._root}/{call_key}/{role}/{attempt}")

    def ordered(self) -> list[Call]:
        """Return the calls in dataflow order, ties broken by path and key, so the same run gives the same list."""
        waiting: dict[str, int] = {}
        consumers: dict[str, list[Call]] = {}
        ready: list[tuple[str, str]] = []
        for call in self.calls.values():
            producers = producers_of(call)
            waiting[call.key] = len(producers)
            for producer in producers:
                consumers.setdefault(producer.key, []).append(call)
            if not producers:
                heapq.heappush(ready, (call.path, call.key))
        order: list[Call] = []
        while ready:
            _, key = heapq.heappop(ready)
            order.append(self.calls[key])
            for consumer in consumers.get(key, ()):
                waiting[consumer.key] -= 1
                if not waiting[consumer.key]:
                    heapq.heappush(ready, (consumer.path, consumer.key))
        return order

    def to_networkx(self) -> networkx.DiGraph[Any]:
        """Return the run as a directed graph.

        Nodes are call keys and ``input:NAME``; they carry ``path``, ``text`` and ``kind``. Edges carry ``name``.
        """
        from textgrad_rl_graphs.draw import trace_to_networkx

        return trace_to_networkx(self)

    def draw(self, path: str) -> None:
        """Draw the run to an ``.svg``, ``.png`` or ``.pdf`` file."""
        from textgrad_rl_graphs.draw import draw_trace

        draw_trace(self, path)


def producers_of(call: Call) -> list[Call]:
    """Return the calls whose outputs a call read, each once, in the order of its inputs."""
    calls = [value.call for value in call.inputs.values() if value.call is not None]
    return calls if len(calls) < 2 else list({made.key: made for made in calls}.values())


def completion_behind(value: Value | None) -> Completion | None:
    """Return the answer that a value comes from, looking through Functions with a single producer; None without one."""
    call = None if value is None else value.call
    while call is not None and call.completion is None:
        producers = producers_of(call)
        call = producers[0] if len(producers) == 1 else None
    return None if call is None else call.completion


# The task that made the calls of this context, and the branch they belong to.
_BRANCH: ContextVar[tuple[asyncio.Task[Any] | None, str]] = ContextVar("textgrad_rl_branch", default=(None, ""))


def enter_branch(branch: str) -> Token[tuple[asyncio.Task[Any] | None, str]]:
    """Say that calls of the current task belong to a branch; returns what :func:`leave_branch` takes."""
    return _BRANCH.set((_current_task(), branch))


def leave_branch(token: Token[tuple[asyncio.Task[Any] | None, str]]) -> None:
    """Go back to the branch before."""
    _BRANCH.reset(token)


def _current_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no loop runs
        return None
