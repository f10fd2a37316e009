"""The backward walk over one run, from its end to its beginning.

Iterative, so a chain may be as long as memory allows, and in reverse dataflow order: a call is taken when everything
that read its output has been. One coroutine follows a chain of calls; where the graph branches, so do they.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import final

from textgrad_rl_graphs.errors import ConfigError, GraphError, ModelError, ParseError
from textgrad_rl_graphs.feedback import Feedback
from textgrad_rl_graphs.frames import own_frames
from textgrad_rl_graphs.gradient import Edge, FailedCall, Gradients, TextGradient
from textgrad_rl_graphs.graph import Graph
from textgrad_rl_graphs.model import Model
from textgrad_rl_graphs.node import LLM, Node
from textgrad_rl_graphs.roles import BackwardRole, Cause, Consultation, consult
from textgrad_rl_graphs.trace import Call, Failure, Trace, producers_of
from textgrad_rl_graphs.types import Sampling, Usage

Asked = tuple[Call, str, list[Cause], list[Edge]]
"""A call that a model has to be asked about, its critique, what feedback is wanted on, and over which edge it flows."""


@final
class Trained:
    """What is trained of a graph.

    Args:
        graph: the graph.
        parameters: paths of the parameters that are trained, None for all.
    """

    def __init__(self, graph: Graph, parameters: Collection[str] | None = None) -> None:
        """Look at every node once."""
        paths = {
            id(item): path for path, item in graph.parameters().items() if parameters is None or path in parameters
        }
        self.nodes: set[Node] = set()
        self.prompts: dict[Node, tuple[list[str], list[Cause]]] = {}
        for node in graph.nodes().values():
            if isinstance(node, LLM):
                places = [(place, prompt) for place, prompt in node.prompts().items() if id(prompt) in paths]
                self.prompts[node] = (
                    [paths[id(prompt)] for _, prompt in places],
                    [Cause(place, prompt.text, prompt.describe, is_prompt=True) for place, prompt in places],
                )
                if places or id(node.model) in paths:
                    self.nodes.add(node)

    def calls(self, trace: Trace) -> dict[str, list[Call]]:
        """Return the keys of calls that are trained or have such a call upstream, each with those of them it reads."""
        found: dict[str, list[Call]] = {}
        for call in trace.calls.values():  # a call starts after those it reads
            producers = [producer for producer in producers_of(call) if producer.key in found]
            if producers or call.node in self.nodes:
                found[call.key] = producers
        return found


@final
@dataclass(frozen=True, slots=True)
class Asker:
    """Asks for feedback on what led to a response.

    Args:
        model: whom; None for the model of the node in question.
        sampling: how it answers.
        retries: further attempts when an answer cannot be read.
    """

    model: Model | None
    sampling: Sampling
    retries: int
    role: BackwardRole = BackwardRole()  # noqa: RUF009  # it has no state

    def model_for(self, call: Call) -> Model:
        """Return who gives feedback on the causes of a call."""
        model = self.model or (call.node.model if isinstance(call.node, LLM) else None)
        if model is None:
            raise ConfigError(
                f"{call.path} has backward='explain' and backward got no model to explain it; pass model="
            )
        return model

    def has_to_ask(self, call: Call, causes: Sequence[Cause]) -> bool:
        """Tell whether a model is needed; else every cause gets the critique itself."""
        return self.role.asks(self.model_for(call).dialect, causes)

    def ask(
        self, trace: Trace, call: Call, critique: str, causes: Sequence[Cause], spent: list[Usage]
    ) -> Awaitable[Consultation[Mapping[str, str]]]:
        """Ask about one call; what the attempts cost is added to ``spent``."""
        model, role = self.model_for(call), self.role
        messages = role.render(
            model.dialect, causes=causes, messages=call.messages, response=call.text, critique=critique,
            describe=call.node.describe,
        )  # fmt: skip
        return consult(
            model, "backward", messages,
            lambda text: role.parse(model.dialect, text, causes=causes, critique=critique),
            seed_for=lambda attempt: trace.seed_for(call.key, "backward", attempt),
            sampling=self.sampling, retries=self.retries, schema=role.schema(model.dialect, causes), spent=spent,
        )  # fmt: skip


@final
class Walk:
    """The walk over one trace.

    Args:
        trace: the run.
        feedback: what was said about its output.
        nodes: what critics of nodes said about their own answers, by call key.
        asker: whom to ask.
        trained: what is trained of the run's graph.
        done: what an earlier walk over this trace found.

    Attributes:
        edges: the gradient of every edge so far.
        failed: calls that gave nothing.
        spent: what all attempts cost, failed ones too.
    """

    def __init__(
        self,
        trace: Trace,
        feedback: Feedback,
        nodes: Mapping[str, Feedback],
        asker: Asker,
        trained: Trained,
        done: Gradients,
    ) -> None:
        """Find out what is trainable; nothing is asked."""
        self.edges: dict[Edge, TextGradient] = {}
        self.failed: list[FailedCall] = []
        self.spent: list[Usage] = []
        self._trace = trace
        self._trace_id = trace.id
        self._feedback = feedback
        self._nodes = nodes
        self._asker = asker
        self._trained = trained
        self._done = done
        self._done_edges: dict[str, list[Edge]] = {}
        for edge in done.edges:
            self._done_edges.setdefault(edge.call_key, []).append(edge)
        self._producers = trained.calls(trace)
        self._received: dict[str, list[TextGradient]] = {}
        self._waiting: dict[str, int] = {}
        self._is_wrong = feedback.correct is not True  # then so is whatever its critique reaches
        self._wrong: set[str] = set()  # else: calls that a critique of something wrong has reached

    def start(self, group: asyncio.TaskGroup) -> None:
        """Take the critiques in, and start to ask where that is needed."""
        first: dict[str, Call] = {}
        for call, feedback in self._judged():
            if call.key in self._producers and feedback.critique.strip() and feedback.fault != "critic":
                first[call.key] = call
                if feedback.correct is not True:
                    self._wrong.add(call.key)
                critique = TextGradient.of(self._source(call), feedback.critique)
                self._receive(Edge(self._trace_id, "", "value", call.key), critique)
        self._waiting = self._consumers(list(first.values()))
        for asked in self._settle([call for call in first.values() if not self._waiting[call.key]]):
            group.create_task(self._follow(asked, group))

    def _judged(self) -> Iterator[tuple[Call, Feedback]]:
        """Yield what critiques are about: the end of the run, and nodes' answers that their own critic finds wrong."""
        for call in starts(self._trace):
            yield call, self._feedback
        for key, feedback in self._nodes.items():
            if feedback.correct is not True:  # praise beside a critique from downstream would only blur it
                yield self._trace.calls[key], feedback

    def _consumers(self, first: Sequence[Call]) -> dict[str, int]:
        """Count, for every trainable call that the start depends on, the calls that read its output."""
        waiting = {call.key: 0 for call in first}
        stack = list(first)
        while stack:
            for producer in self._producers[stack.pop().key]:
                if producer.key not in waiting:
                    waiting[producer.key] = 0
                    stack.append(producer)
                waiting[producer.key] += 1
        return waiting

    async def _follow(self, asked: Asked, group: asyncio.TaskGroup) -> None:
        """Ask about a call and go on with what that releases: the first here, others beside it."""
        while True:
            call, critique, causes, edges = asked
            try:
                answer = await self._asker.ask(self._trace, call, critique, causes, self.spent)
            except (ModelError, ParseError) as error:
                self.failed.append(FailedCall(self._trace_id, call.key, Failure(call.path, str(error))))
            else:
                source, texts = self._source(call), answer.result
                for cause, edge in zip(causes, edges, strict=True):
                    # Where nothing is to change, a zero gradient tells that it was asked about.
                    self._receive(edge, TextGradient.of(source, texts.get(cause.name, "")))
            released = self._settle(self._released(call))
            if not released:
                return
            asked, *others = released
            for other in others:
                group.create_task(self._follow(other, group))

    def _settle(self, ready: list[Call]) -> list[Asked]:
        """Hand gradients on where that needs no model; return the calls where it does."""
        asked: list[Asked] = []
        while ready:
            call = ready.pop()
            received = self._received.get(call.key, ())
            gradient = received[0] if len(received) == 1 else TextGradient.sum(received)
            question = self._pass_on(call, gradient) if gradient else None
            if question:
                asked.append(question)
            else:
                ready += self._released(call)
        return asked

    def _released(self, call: Call) -> list[Call]:
        """Return the producers of a call that nothing else is waiting to give a gradient to."""
        released = []
        for producer in self._producers[call.key]:
            self._waiting[producer.key] -= 1
            if not self._waiting[producer.key]:
                released.append(producer)
        return released

    def _pass_on(self, call: Call, gradient: TextGradient) -> Asked | None:
        """Hand the gradient of a call on, or return what a model has to be asked."""
        node = call.node
        if call.key in self._done_edges and self._done.values.get((self._trace_id, call.key)) == gradient:
            for edge in self._done_edges[call.key]:
                self._receive(edge, self._done.edges[edge])
        elif isinstance(node, LLM) or node.backward == "explain":
            causes, edges = self._wanted(call)
            if not causes or not (self._is_wrong or call.key in self._wrong):
                return None
            if self._asker.has_to_ask(call, causes):
                return call, gradient.text, causes, edges
            for edge in edges:
                self._receive(edge, TextGradient.of(self._source(call), gradient.text))
        elif callable(node.backward):
            self._follow_rule(call, node.backward, gradient.text)
        else:
            for producer in self._producers[call.key]:
                self._receive(Edge(self._trace_id, call.key, "value", producer.key), gradient)
        return None

    def _follow_rule(self, call: Call, rule: Callable[[Call, str], Mapping[str, str]], critique: str) -> None:
        """Take what a Function's own rule says about its inputs; what it raises is noted."""
        try:
            texts = rule(call, critique)
        except Exception as error:
            self.failed.append(FailedCall(self._trace_id, call.key, Failure(call.path, own_frames(error))))
            return
        for name, text in texts.items():
            value = call.inputs.get(name)
            if value is None:
                raise GraphError(
                    f"the backward rule of {call.path} names {name!r}; its inputs: {', '.join(call.inputs)}"
                )
            if value.call is not None and value.call.key in self._producers:
                self._receive(
                    Edge(self._trace_id, call.key, "value", value.call.key), TextGradient.of(self._source(call), text)
                )

    def _wanted(self, call: Call) -> tuple[list[Cause], list[Edge]]:
        """Return what feedback is wanted on: the node's prompts, and inputs with something trainable behind them."""
        paths, known = self._trained.prompts.get(call.node, ((), ()))
        causes, edges = [*known], [Edge(self._trace_id, call.key, "prompt", path) for path in paths]
        for name, value in call.inputs.items():
            read = value.call
            if read is not None and read.key in self._producers:
                causes.append(Cause(f"input.{name}", value.text, read.node.describe))
                edges.append(Edge(self._trace_id, call.key, "value", read.key))
        return causes, edges

    def _source(self, call: Call) -> str:
        return f"{self._trace_id}/{call.key}"

    def _receive(self, edge: Edge, gradient: TextGradient) -> None:
        known = self.edges.setdefault(edge, gradient)
        if known is not gradient:
            self.edges[edge] = known + gradient
        if edge.kind == "value":
            self._received.setdefault(edge.target, []).append(gradient)
            if not self._is_wrong and gradient and edge.call_key in self._wrong:
                self._wrong.add(edge.target)


def starts(trace: Trace) -> list[Call]:
    """Return the calls that the critique of a run is about: the one that made the output, or the one that failed."""
    if trace.output is not None:
        return [] if trace.output.call is None else [trace.output.call]
    where = None if trace.failure is None else trace.failure.where
    return [call for call in trace.ordered() if call.output is None and call.path == where]
