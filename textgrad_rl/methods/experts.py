"""Expert responses: an example's reference solution in the place of the policy's response, once per group.

What comes out is a :class:`~textgrad_rl_graphs.refine.Refinement` without a critique: scored by the critic, a member of
its group, trained under the node's own prompt. So LUFFY is Critique-GRPO with solutions for refinements, and supervised
training on solutions is imitation of refinements that are solutions.

Left out: expert responses of several nodes of one trace, and of nodes that are not nearest to the output.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from textgrad_rl.methods.encode import answer_ids
from textgrad_rl_graphs.errors import DataError
from textgrad_rl_graphs.feedback import Case, Critic
from textgrad_rl_graphs.node import LLM
from textgrad_rl_graphs.refine import Refinement
from textgrad_rl_graphs.trace import Call, Failure, Replay, Trace, producers_of
from textgrad_rl_graphs.types import Completion, Example
from textgrad_rl_graphs.walk import starts


def check_solutions(examples: Sequence[Example]) -> None:
    """Raise DataError when no example has a solution."""
    if all(example.solution is None for example in examples):
        raise DataError("the method learns from reference solutions, and no training example has Example.solution")


async def aexperts(traces: Sequence[Trace], critic: Critic) -> list[Refinement]:
    """Return one expert response per group whose example has a solution, run and scored; all are kept.

    Args:
        traces: the samples; the first of a group with an answer of a policy lends its prompt.
        critic: scores the re-runs (scores alone, no critiques).

    Raises:
        ConfigError: for a policy without a tokenizer.
    """
    chosen = {
        trace.group: (trace, call)
        for trace in reversed(traces)
        if trace.example.solution is not None and (call := _answering_call(trace)) is not None
    }
    attempts = await asyncio.gather(*(_attempt(trace, call) for trace, call in reversed(chosen.values())))
    cases = [
        Case(item.source.example, item.trace, item.trace.output, item.source.group) for item in attempts if item.trace
    ]
    judged = iter(await critic.acritique(cases, critiques=False) if cases else [])
    scored = [replace(item, feedback=next(judged)) if item.trace else item for item in attempts]
    return [replace(item, kept=item.feedback is not None and item.feedback.score is not None) for item in scored]


def _answering_call(trace: Trace) -> Call | None:
    """Return the call of a policy that is nearest to the output."""
    queue = deque(starts(trace))
    seen = {call.key for call in queue}
    while queue:
        call = queue.popleft()
        if isinstance(call.node, LLM) and call.node.model.trainable and call.completion is not None:
            return call
        new = [producer for producer in producers_of(call) if producer.key not in seen]
        seen |= {producer.key for producer in new}
        queue += new
    return None


async def _attempt(trace: Trace, call: Call) -> Refinement:
    """Run the graph with the solution in the place of a response."""
    assert isinstance(call.node, LLM)
    assert call.completion is not None
    solution = trace.example.solution or ""
    ids = answer_ids(call.node.model, solution)  # type: ignore[arg-type]  # a trainable model is a policy
    completion = Completion(
        text=solution, prompt_ids=call.completion.prompt_ids, output_ids=ids, model=call.completion.model
    )
    rerun = await trace.graph.arun(
        trace.example, sample=trace.sample, step=trace.step, seed=trace.seed, versionless=trace.versionless,
        replay=Replay(trace, {call.key: completion}),
    )  # fmt: skip
    if rerun.failure is not None and rerun.failure.kind == "infrastructure":
        return Refinement(trace, call, "", completion, failure=rerun.failure)
    if call.key not in rerun.calls:
        return Refinement(trace, call, "", completion, failure=Failure(call.path, "the re-run took another way"))
    return Refinement(trace, call, "", completion, rerun)
