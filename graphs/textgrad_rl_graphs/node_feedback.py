"""Critics on inner nodes: ``LLM(..., critic=...)`` judges what that node answers, beside the critic of the output.

What they say is used twice. Their critiques join, as further gradients of the judged answers, what flows back from
the output: ``backward(..., nodes=found)``. Their scores are exact credit for the node, where the trace's score also
holds the luck of all others: ``advantages(..., nodes=found, credit="local")``.

Left out: critics of Function nodes, and of graphs inside graphs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from textgrad_rl_graphs.feedback import Case, Critic, Feedback
from textgrad_rl_graphs.graph import Graph
from textgrad_rl_graphs.judging import ajudge
from textgrad_rl_graphs.node import LLM
from textgrad_rl_graphs.sync import blocking
from textgrad_rl_graphs.trace import Call, Trace

NodeFeedback = Mapping[tuple[str, str], Feedback]
"""What critics of nodes said, by (trace id, call key)."""


async def ajudge_nodes(traces: Sequence[Trace], *, critiques: bool = True) -> dict[tuple[str, str], Feedback]:
    """Return the feedback of all nodes that have a critic, by (trace id, call key).

    Answered calls of failed runs are judged too; an answer that its own node could not use is a policy fault, and a
    call that was never answered has no feedback.

    Args:
        traces: runs, of any graphs.
        critiques: False asks for scores and verdicts alone.

    >>> import textgrad_rl as tgr
    >>> class Reply(tgr.Graph):
    ...     def __init__(self, model):
    ...         self.reply = tgr.LLM(model, critic=tgr.critics.Verifier(lambda text, example: len(text) / 10))
    ...     async def forward(self, question):
    ...         return await self.reply(question=question)
    >>> trace = Reply(tgr.FunctionModel(lambda request: "Seven")).run({"question": "Your number?"})
    >>> [feedback.score for feedback in tgr.judge_nodes([trace]).values()]
    [0.5]
    """
    return await ajudge_calls([(trace, call) for trace in traces for call in judged_calls(trace)], critiques=critiques)


judge_nodes = blocking(ajudge_nodes)


async def ajudge_calls(
    calls: Sequence[tuple[Trace, Call]], *, critiques: bool = True
) -> dict[tuple[str, str], Feedback]:
    """Return the feedback on calls of nodes that have a critic; each critic is asked once, about all of its calls."""
    by_critic: dict[int, tuple[Critic, list[tuple[Trace, Call]]]] = {}
    for trace, call in calls:
        critic = critic_of(call)
        assert critic is not None
        by_critic.setdefault(id(critic), (critic, []))[1].append((trace, call))
    answers = await asyncio.gather(
        *(
            ajudge(critic, [case_of(*pair) for pair in pairs], critiques=critiques)
            for critic, pairs in by_critic.values()
        )
    )
    return {
        (trace.id, call.key): item
        for (_, pairs), feedback in zip(by_critic.values(), answers, strict=True)
        for (trace, call), item in zip(pairs, feedback, strict=True)
    }


def judged_calls(trace: Trace) -> list[Call]:
    """Return the answered calls of nodes that have a critic, in dataflow order."""
    return [call for call in trace.ordered() if critic_of(call) is not None and call.completion is not None]


def critic_of(call: Call) -> Critic | None:
    """Return the critic of a call's own node."""
    return call.node.critic if isinstance(call.node, LLM) else None


def node_critics(graph: Graph) -> dict[str, Critic]:
    """Return the critics of a graph's nodes by the path of the node."""
    nodes = graph.nodes().items()
    return {path: node.critic for path, node in nodes if isinstance(node, LLM) and node.critic is not None}


def case_of(trace: Trace, call: Call) -> Case:
    """Return a call's answer as a case; cases of one node and example form a group."""
    return Case(trace.example, trace, call.output, f"{trace.group}/{call.path}")
