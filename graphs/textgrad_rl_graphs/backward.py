"""Backward: the critique of the output flows to every value and prompt that led to it.

Reverse dataflow order, without a barrier between levels, concurrent over all traces: a call is taken as soon as
everything that read its output has been. The gradient of the output is the critique itself. An LLM node costs at most
one model call per trace, and none unless it has a trainable prompt or something trainable upstream; samples that are
right cost none. A call that fails is reported, and the rest goes on.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Mapping, Sequence

from textgrad_rl_graphs.errors import ConfigError, GraphError, ModelError, ParseError
from textgrad_rl_graphs.feedback import Feedback
from textgrad_rl_graphs.gradient import Edge, FailedCall, Gradients, TextGradient
from textgrad_rl_graphs.model import Model
from textgrad_rl_graphs.node import LLM
from textgrad_rl_graphs.prompt import Prompt
from textgrad_rl_graphs.roles import BackwardRole, Cause, consult
from textgrad_rl_graphs.sync import blocking
from textgrad_rl_graphs.trace import Call, Failure, Trace, producers_of
from textgrad_rl_graphs.types import Sampling, Usage


async def abackward(
    traces: Sequence[Trace],
    feedback: Sequence[Feedback],
    *,
    model: Model | None = None,
    sampling: Sampling | None = None,
    retries: int = 2,
    done: Gradients | None = None,
    parameters: Collection[str] | None = None,
) -> Gradients:
    """Return the gradients of all values and prompts of the traces.

    Args:
        traces: runs of a graph.
        feedback: one per trace, in the same order.
        model: writes the feedback on prompts and inputs; None lets every node's own model do it.
        sampling: how it answers.
        retries: further attempts when an answer cannot be read.
        done: an earlier result for the same traces: a call is not made again while what it received is the same.
            The result is ``done | new``.
        parameters: paths of the parameters that are trained, so that nothing is asked about others; None for all.

    Raises:
        GraphError: when traces and feedback differ in number.
        ConfigError: when a Function is to be explained and there is no model.
    """
    if isinstance(traces, Trace) or isinstance(feedback, Feedback):
        raise GraphError("backward takes lists: backward([trace], [feedback])")
    if len(traces) != len(feedback):
        raise GraphError(f"backward got {len(traces)} traces and {len(feedback)} pieces of feedback; one each, please")
    done = done or Gradients()
    trained: dict[int, dict[int, str]] = {}
    for trace in traces:
        if id(trace.graph) not in trained:
            named = trace.graph.parameters()
            trained[id(trace.graph)] = {
                id(item): path for path, item in named.items() if parameters is None or path in parameters
            }
    walks = (
        _Walk(trace, item, model, sampling or Sampling(), retries, done, trained[id(trace.graph)]).run()
        for trace, item in zip(traces, feedback, strict=True)
    )
    result = done
    edges: dict[Edge, TextGradient] = {}
    failed: list[FailedCall] = []
    usage = Usage()
    for walk_edges, walk_failed, walk_usage in await asyncio.gather(*walks):
        edges.update(walk_edges)
        failed += walk_failed
        usage += walk_usage
    by_trace = {trace.id: item for trace, item in zip(traces, feedback, strict=True)}
    return result | Gradients(edges, by_trace, tuple(failed), usage)


backward = blocking(abackward)


def starts(trace: Trace) -> list[Call]:
    """Return the calls that the critique of a run is about: the one that made the output, or the one that failed."""
    if trace.output is not None:
        return [] if trace.output.call is None else [trace.output.call]
    where = None if trace.failure is None else trace.failure.where
    return [call for call in trace.ordered() if call.output is None and call.path == where]


def trainable_calls(trace: Trace, trained: Collection[int]) -> set[str]:
    """Return the keys of calls that are trained themselves or have such a call upstream.

    Args:
        trace: the run.
        trained: the ``id`` of every trained prompt and policy.
    """
    found: set[str] = set()
    for call in trace.ordered():
        node = call.node
        own = isinstance(node, LLM) and any(id(item) in trained for item in (node.model, *node.prompts().values()))
        if own or any(producer.key in found for producer in producers_of(call)):
            found.add(call.key)
    return found


class _Walk:
    """The walk over one trace."""

    def __init__(
        self,
        trace: Trace,
        feedback: Feedback,
        model: Model | None,
        sampling: Sampling,
        retries: int,
        done: Gradients,
        trained: Mapping[int, str],
    ) -> None:
        self.trace = trace
        self.feedback = feedback
        self.model = model
        self.sampling = sampling
        self.retries = retries
        self.done: dict[str, dict[Edge, TextGradient]] = {}
        for edge, gradient in done.edges.items():
            if edge.trace_id == trace.id:
                self.done.setdefault(edge.call_key, {})[edge] = gradient
        self.done_received = {
            key: gradient for (trace_id, key), gradient in done.values.items() if trace_id == trace.id
        }
        self.trained = trained
        self.trainable = trainable_calls(trace, trained)
        self.edges: dict[Edge, TextGradient] = {}
        self.received: dict[str, TextGradient] = {}
        self.failed: list[FailedCall] = []
        self.usage = Usage()

    async def run(self) -> tuple[dict[Edge, TextGradient], list[FailedCall], Usage]:
        """Take calls as they become ready until none is left."""
        critique = self.feedback.critique
        first = [call for call in starts(self.trace) if call.key in self.trainable]
        if not critique.strip() or self.feedback.fault == "critic" or not first:
            return {}, [], self.usage
        for call in first:
            self._receive("", "value", call.key, TextGradient.of(f"{self.trace.id}/{call.key}", critique))
        waiting = self._consumers(first)
        ready = deque(call for call in first if not waiting[call.key])
        running: dict[asyncio.Task[Mapping[str, str] | None], Call] = {}
        try:
            while ready or running:
                while ready:
                    call = ready.popleft()
                    if self._settle_free(call):
                        ready.extend(_released(call, waiting))
                    else:
                        running[asyncio.create_task(self._ask(call))] = call
                if running:
                    finished, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                    for task in finished:
                        call = running.pop(task)
                        answer = task.result()
                        if answer is not None:
                            nothing = {cause.name: "" for cause in self._causes(call)}
                            self._distribute(call, {**nothing, **answer})
                        ready.extend(_released(call, waiting))
        finally:  # after an error, ask nothing more
            for task in running:
                task.cancel()
        return self.edges, self.failed, self.usage

    def _consumers(self, first: Sequence[Call]) -> dict[str, int]:
        """Count, for every trainable call that the start depends on, the calls that read its output."""
        waiting = {call.key: 0 for call in first}
        stack = list(first)
        while stack:
            for producer in producers_of(stack.pop()):
                if producer.key not in self.trainable:
                    continue
                if producer.key not in waiting:
                    waiting[producer.key] = 0
                    stack.append(producer)
                waiting[producer.key] += 1
        return waiting

    def _settle_free(self, call: Call) -> bool:
        """Hand the gradient on where that needs no model; return False where it does."""
        gradient = self.received.get(call.key, TextGradient())
        node = call.node
        if not gradient:
            return True
        if call.key in self.done and self.done_received.get(call.key) == gradient:
            for edge, known in self.done[call.key].items():
                self._receive(call.key, edge.kind, edge.target, known)
            return True
        if isinstance(node, LLM) or node.backward == "explain":
            causes = self._causes(call)
            if self.feedback.correct is True or not causes:
                return True
            if BackwardRole().asks(self._model_for(call).dialect, causes):
                return False
            self._distribute(call, {cause.name: gradient.text for cause in causes})
            return True
        if callable(node.backward):
            self._distribute(call, {f"input {name}": text for name, text in node.backward(call, gradient.text).items()})
            return True
        for producer in producers_of(call):
            if producer.key in self.trainable:
                self._receive(call.key, "value", producer.key, gradient)
        return True

    def _causes(self, call: Call) -> list[Cause]:
        """Return what feedback is wanted on: the node's prompts, and inputs with something trainable behind them."""
        prompts = self._prompts(call)
        causes = [Cause(place, prompt.text, prompt.describe, is_prompt=True) for place, prompt in prompts.items()]
        for name, value in call.inputs.items():
            if value.call is not None and value.call.key in self.trainable:
                causes.append(Cause(f"input {name}", value.text, value.call.node.describe))
        return causes

    def _prompts(self, call: Call) -> dict[str, Prompt]:
        """Return the prompts of a call's node that are trained, by their place."""
        places = call.node.prompts() if isinstance(call.node, LLM) else {}
        return {place: prompt for place, prompt in places.items() if id(prompt) in self.trained}

    def _model_for(self, call: Call) -> Model:
        """Return who gives feedback on the causes of a call."""
        model = self.model or (call.node.model if isinstance(call.node, LLM) else None)
        if model is None:
            raise ConfigError(
                f"{call.path} has backward='explain' and backward got no model to explain it; pass model="
            )
        return model

    async def _ask(self, call: Call) -> Mapping[str, str] | None:
        """Ask the backward model about one call; a failure is noted and gives None."""
        model = self._model_for(call)
        causes, role = self._causes(call), BackwardRole()
        critique = self.received[call.key].text
        response = "" if call.output is None else call.output.text
        messages = role.render(
            model.dialect, causes=causes, messages=call.messages, response=response, critique=critique,
            describe=call.node.describe,
        )  # fmt: skip
        try:
            consultation = await consult(
                model, "backward", messages,
                lambda text: role.parse(model.dialect, text, causes=causes, critique=critique),
                seed_for=lambda attempt: self.trace.seed_for(call.key, "backward", attempt),
                sampling=self.sampling, retries=self.retries,
            )  # fmt: skip
        except (ModelError, ParseError) as error:
            self.failed.append(FailedCall(self.trace.id, call.key, Failure(call.path, str(error))))
            return None
        self.usage += consultation.usage
        return consultation.result

    def _distribute(self, call: Call, texts: Mapping[str, str]) -> None:
        """Turn feedback by cause into gradients of prompts and of the calls that made the inputs."""
        source = f"{self.trace.id}/{call.key}"
        prompts = self._prompts(call)
        for name, text in texts.items():
            if name in prompts:
                path = self.trained[id(prompts[name])]
                self._receive(call.key, "prompt", path, TextGradient.of(source, text))
                continue
            value = call.inputs.get(name.removeprefix("input "))
            if value is None:
                raise GraphError(
                    f"the backward rule of {call.path} names {name!r}; its inputs: {', '.join(call.inputs)}"
                )
            if value.call is not None and value.call.key in self.trainable:
                self._receive(call.key, "value", value.call.key, TextGradient.of(source, text))

    def _receive(self, call_key: str, kind: str, target: str, gradient: TextGradient) -> None:
        edge = Edge(self.trace.id, call_key, kind, target)
        self.edges[edge] = self.edges.get(edge, TextGradient()) + gradient
        if kind == "value":
            self.received[target] = self.received.get(target, TextGradient()) + gradient


def _released(call: Call, waiting: dict[str, int]) -> list[Call]:
    """Return the producers of a call that nothing else is waiting to give a gradient to."""
    released = []
    for producer in producers_of(call):
        if producer.key in waiting:
            waiting[producer.key] -= 1
            if not waiting[producer.key]:
                released.append(producer)
    return released
