"""Expert responses: an example's reference solution in the place of the policy's response, once per group.

What comes out is a :class:`~textgrad_rl_graphs.refine.Refinement` without a critique: scored by the critic, a member of
its group, trained under the node's own prompt. So LUFFY is Critique-GRPO with solutions for refinements, and supervised
training on solutions is imitation of refinements that are solutions.

Left out: expert responses of several nodes of one trace, and of nodes that are not nearest to the output.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from textgrad_rl.methods.encode import answer_ids
from textgrad_rl_graphs.errors import DataError
from textgrad_rl_graphs.feedback import Critic
from textgrad_rl_graphs.node import LLM
from textgrad_rl_graphs.refine import Refinement, nearest_call, scored, with_response
from textgrad_rl_graphs.trace import Call, Trace
from textgrad_rl_graphs.types import Completion, Example


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
        if trace.example.solution is not None and (call := nearest_call(trace, _answers)) is not None
    }
    attempts = await asyncio.gather(*(_attempt(trace, call) for trace, call in reversed(chosen.values())))
    judged = await scored(attempts, critic)
    return [replace(item, kept=item.feedback is not None and item.feedback.score is not None) for item in judged]


def _answers(call: Call) -> bool:
    """Whether a policy made the response of a call."""
    return isinstance(call.node, LLM) and call.node.model.trainable and call.completion is not None


async def _attempt(trace: Trace, call: Call) -> Refinement:
    """Run the graph with the solution in the place of a response."""
    assert isinstance(call.node, LLM)
    assert call.completion is not None
    solution = trace.example.solution or ""
    ids = answer_ids(call.node.model, solution)  # type: ignore[arg-type]  # a trainable model is a policy
    completion = Completion(
        text=solution, prompt_ids=call.completion.prompt_ids, output_ids=ids, model=call.completion.model
    )
    return await with_response(trace, call, "", completion)
