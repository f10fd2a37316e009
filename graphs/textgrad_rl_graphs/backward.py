"""Backward: the critique of the output flows to every value and prompt that led to it.

Reverse dataflow order, without a barrier between levels, concurrent over all traces: a call is taken as soon as
everything that read its output has been. The gradient of the output is the critique itself; what a critic of an inner
node says of a wrong answer joins the gradient of that answer. An LLM node costs at most one model call per trace, and
none unless it has a trainable prompt or something trainable upstream; critiques of what is right cost none. A call
that fails is reported, and the rest goes on. The walk itself is in :mod:`textgrad_rl_graphs.walk`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Sequence

from textgrad_rl_graphs.errors import GraphError
from textgrad_rl_graphs.feedback import Feedback
from textgrad_rl_graphs.gradient import Edge, Gradients, TextGradient
from textgrad_rl_graphs.model import Model
from textgrad_rl_graphs.node_feedback import NodeFeedback
from textgrad_rl_graphs.sync import blocking
from textgrad_rl_graphs.trace import Trace
from textgrad_rl_graphs.types import Sampling, Usage
from textgrad_rl_graphs.walk import Asker, Trained, Walk


async def abackward(
    traces: Sequence[Trace],
    feedback: Sequence[Feedback],
    *,
    nodes: NodeFeedback | None = None,
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
        nodes: what critics of inner nodes said, as :func:`~textgrad_rl_graphs.node_feedback.judge_nodes` returns it;
            what it holds of other runs is left alone.
        model: writes the feedback on prompts and inputs; None lets every node's own model do it.
        sampling: how it answers.
        retries: further attempts when an answer cannot be read.
        done: an earlier result for the same traces: a call is not made again while what it received is the same.
            The result is ``done | new``.
        parameters: paths of the parameters that are trained, so that nothing is asked about others; None for all.

    Raises:
        GraphError: when traces and feedback differ in number, or a run is given twice.
        ConfigError: when a Function is to be explained and there is no model.
    """
    if isinstance(traces, Trace) or isinstance(feedback, Feedback):
        raise GraphError("backward takes lists: backward([trace], [feedback])")
    if len(traces) != len(feedback):
        raise GraphError(f"backward got {len(traces)} traces and {len(feedback)} pieces of feedback; one each, please")
    by_trace = {trace.id: item for trace, item in zip(traces, feedback, strict=True)}
    if len(by_trace) < len(traces):
        twice = next(item for item, count in Counter(trace.id for trace in traces).items() if count > 1)
        raise GraphError(
            f"backward got the run {twice} (step/example/sample) twice, whose gradients could not be told apart; "
            "number runs of one example with sample=, or use run_many(examples, samples=...)"
        )
    known = {} if done is None else _by_trace(done)
    graphs = {id(trace.graph): trace.graph for trace in traces}
    trained = {key: Trained(graph, parameters) for key, graph in graphs.items()}
    asker = Asker(model, sampling or Sampling(), retries)
    inner: dict[str, dict[str, Feedback]] = {}
    for (trace_id, call_key), item in (nodes or {}).items():
        inner.setdefault(trace_id, {})[call_key] = item
    walks = [
        Walk(
            trace, item, inner.get(trace.id, {}), asker, trained[id(trace.graph)], known.get(trace.id, Gradients())
        )
        for trace, item in zip(traces, feedback, strict=True)
    ]  # fmt: skip
    try:
        async with asyncio.TaskGroup() as group:  # after an error, nothing more is asked
            for walk in walks:
                walk.start(group)
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    edges: dict[Edge, TextGradient] = {}
    for walk in walks:
        edges.update(walk.edges)
    failed = tuple(item for walk in walks for item in walk.failed)
    usage = Usage.sum([item for walk in walks for item in walk.spent])
    found = Gradients(edges, by_trace, failed, usage)
    return found if done is None else done | found


def _by_trace(gradients: Gradients) -> dict[str, Gradients]:
    """Return the edges of every trace apart."""
    edges: dict[str, dict[Edge, TextGradient]] = {}
    for edge, gradient in gradients.edges.items():
        edges.setdefault(edge.trace_id, {})[edge] = gradient
    return {trace_id: Gradients(part) for trace_id, part in edges.items()}


backward = blocking(abackward)
