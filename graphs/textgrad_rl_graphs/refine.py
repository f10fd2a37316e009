"""Refine: apply a critique to a response, and run everything downstream again.

One :class:`Refine` says which traces, which node, how many, and which are kept; it serves prompts (evidence), weights
(training rows) and test time alike. In the re-run, calls whose key is unchanged are replayed from the record, others
run live; a Function whose effects may happen only once is never repeated, the refinement fails instead.

Left out so far: refining several nodes of one trace, and rejecting refinements that leak the answer into inner nodes
(the refiner never sees the answer itself; a critique may).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, final

from textgrad_rl_graphs.conversation import shown_in, transcript
from textgrad_rl_graphs.errors import ConfigError, GraphError, ModelError, ParseError
from textgrad_rl_graphs.feedback import Case, Critic, Feedback
from textgrad_rl_graphs.gradient import Gradients
from textgrad_rl_graphs.hashing import digest
from textgrad_rl_graphs.judging import ajudge
from textgrad_rl_graphs.model import Model
from textgrad_rl_graphs.node import LLM
from textgrad_rl_graphs.roles import RefineRole, consult
from textgrad_rl_graphs.sync import blocking
from textgrad_rl_graphs.trace import Call, Failure, Replay, Trace, producers_of
from textgrad_rl_graphs.types import Completion, Message, Usage
from textgrad_rl_graphs.walk import starts


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Refine:
    """Which responses are refined, and which refinements are kept.

    Args:
        trigger: ``"zero_correct"`` (groups without a right response), ``"incorrect"`` (every response not right) or
            ``"all"`` (right ones too, where the critic wrote something).
        keep: refinements kept per group.
        select: ``"correct_first"`` (right ones first, else random), ``"correct_or_first"`` (right ones first, else in
            order), ``"first"`` or ``"random"``.
        replace: False adds the kept ones to the group (n + k); True puts them in the place of its first samples.
        attempts: responses refined per group at most; None for all.
        node: path of the node to refine; None for the one with a gradient nearest to the output.
        model: who refines; None for the node's own model (self-refinement).
    """

    trigger: Literal["zero_correct", "incorrect", "all"] = "zero_correct"
    keep: int = 1
    select: Literal["correct_first", "correct_or_first", "first", "random"] = "correct_first"
    replace: bool = False
    attempts: int | None = None
    node: str | None = None
    model: Model | None = None

    def __post_init__(self) -> None:
        """Reject unknown words and empty plans."""
        if self.trigger not in ("zero_correct", "incorrect", "all"):
            raise ConfigError(f"trigger is 'zero_correct', 'incorrect' or 'all', got {self.trigger!r}")
        if self.select not in ("correct_first", "correct_or_first", "first", "random"):
            raise ConfigError(
                f"select is 'correct_first', 'correct_or_first', 'first' or 'random', got {self.select!r}"
            )
        if self.keep < 1 or (self.attempts is not None and self.attempts < 1):
            raise ConfigError("keep and attempts must be at least 1")


@final
@dataclass(frozen=True, slots=True)
class Refinement:
    """One response, rewritten.

    Attributes:
        source: the trace it was taken from.
        call: the call whose response was rewritten.
        critique: what it was told.
        completion: the refined response, with the tokens as sampled in the refiner's context.
        trace: the re-run with the response in place; None when it failed.
        feedback: what the critic says of the re-run's output.
        kept: whether it was selected.
        failure: why there is no result.
    """

    source: Trace
    call: Call
    critique: str
    completion: Completion | None = None
    trace: Trace | None = None
    feedback: Feedback | None = None
    kept: bool = False
    failure: Failure | None = None


async def arefine(
    traces: Sequence[Trace], gradients: Gradients, critic: Critic, *, plan: Refine | None = None, retries: int = 2
) -> list[Refinement]:
    """Refine responses as the plan says and score the results.

    Args:
        traces: the runs; those of one example and step form a group.
        gradients: what backward returned for them.
        critic: scores the re-runs (scores alone, no critiques).
        plan: see :class:`Refine`.
        retries: further attempts when the refiner answers with nothing.

    Returns:
        Every attempt in the order of the traces, kept or not, failed or not.
    """
    plan = plan or Refine()
    chosen = [
        (trace, call) for group in _groups(traces) for trace, call in _selected(group, gradients, plan)[: plan.attempts]
    ]
    attempts = await asyncio.gather(
        *(_attempt(trace, call, gradients.values[trace.id, call.key].text, plan, retries) for trace, call in chosen)
    )
    judged = await scored(attempts, critic)
    kept = _keep(judged, plan)
    return [replace(item, kept=index in kept) for index, item in enumerate(judged)]


refine = blocking(arefine)


async def scored(attempts: Sequence[Refinement], critic: Critic) -> list[Refinement]:
    """Return attempts with what a critic says of their re-runs (scores alone, no critiques); failed ones stay."""
    cases = [
        Case(item.source.example, item.trace, item.trace.output, item.source.group) for item in attempts if item.trace
    ]
    judged = iter(await ajudge(critic, cases, critiques=False))
    return [replace(item, feedback=next(judged)) if item.trace else item for item in attempts]


async def with_response(trace: Trace, call: Call, critique: str, completion: Completion) -> Refinement:
    """Run a trace's graph again with another response in the place of a call's; its kept calls are replayed."""
    rerun = await trace.graph.arun(
        trace.example, sample=trace.sample, step=trace.step, seed=trace.seed, versionless=trace.versionless,
        replay=Replay(trace, {call.key: completion}),
    )  # fmt: skip
    if rerun.failure is not None and rerun.failure.kind == "infrastructure":
        return Refinement(trace, call, critique, completion, failure=rerun.failure)
    if call.key not in rerun.calls:
        reason = "the re-run did not reach the refined call: a prompt changed since, or forward decides at random"
        return Refinement(trace, call, critique, completion, failure=Failure(call.path, reason))
    return Refinement(trace, call, critique, completion, rerun)


def nearest_call(trace: Trace, wanted: Callable[[Call], bool]) -> Call | None:
    """Return the wanted call that is nearest to the output, or to the failure, of a run; None without one."""
    queue = deque(starts(trace))
    seen = {call.key for call in queue}
    while queue:
        call = queue.popleft()
        if wanted(call):
            return call
        for producer in producers_of(call):
            if producer.key not in seen:
                seen.add(producer.key)
                queue.append(producer)
    return None


def _groups(traces: Sequence[Trace]) -> list[list[Trace]]:
    groups: dict[str, list[Trace]] = {}
    for trace in traces:
        groups.setdefault(trace.group, []).append(trace)
    return list(groups.values())


def _selected(group: Sequence[Trace], gradients: Gradients, plan: Refine) -> list[tuple[Trace, Call]]:
    """Return the traces of a group that the trigger selects, each with the call to refine."""
    feedback = [gradients.feedback.get(trace.id) for trace in group]
    right = [item is not None and item.correct is True for item in feedback]
    if plan.trigger == "zero_correct" and any(right):
        return []
    selected = []
    for trace, is_right in zip(group, right, strict=True):
        if is_right and plan.trigger != "all":
            continue
        call = _call_to_refine(trace, gradients, plan.node)
        if call is not None:
            selected.append((trace, call))
    return selected


def _call_to_refine(trace: Trace, gradients: Gradients, path: str | None) -> Call | None:
    """Return the LLM call with a gradient that is nearest to the output, or None."""
    if path is not None and path not in trace.graph.nodes():
        raise GraphError(f"Refine(node={path!r}): the graph has no such node; it has {', '.join(trace.graph.nodes())}")

    def wanted(call: Call) -> bool:
        node = isinstance(call.node, LLM) and (path is None or call.path == path)
        return node and call.completion is not None and bool(gradients.values.get((trace.id, call.key)))

    return nearest_call(trace, wanted)


async def _attempt(trace: Trace, call: Call, critique: str, plan: Refine, retries: int) -> Refinement:
    """Ask for one refinement and run the graph with it."""
    node = call.node
    assert isinstance(node, LLM)
    model, role = plan.model or node.model, RefineRole()
    said = _question_of(call)
    question = said[-1].content if len(said) == 1 else transcript(said)
    messages = role.render(
        model.dialect, question=question, response=call.text, critique=critique, images=shown_in(said)
    )
    spent: list[Usage] = []
    try:
        consultation = await consult(
            model, "refine", messages, lambda text: role.parse(model.dialect, text),
            seed_for=lambda attempt: trace.seed_for(call.key, "refine", attempt),
            sampling=node.sampling, retries=retries, schema=node.schema, spent=spent,
        )  # fmt: skip
    except (ModelError, ParseError) as error:
        return Refinement(trace, call, critique, failure=Failure(call.path, str(error), usage=Usage.sum(spent)))
    return await with_response(trace, call, critique, consultation.completion)


def _question_of(call: Call) -> tuple[Message, ...]:
    """Return what a call was asked: its last message, or the whole conversation where it went on from one."""
    goes_on = "history" in call.inputs or "messages" in call.inputs
    return tuple(m for m in call.messages if m.role != "system") if goes_on else call.messages[-1:]


def _draw(item: Refinement) -> str:
    """Return a number that is random among refinements and the same in every run with this seed."""
    return digest("keep", item.source.seed, item.source.id)


def _keep(items: Sequence[Refinement], plan: Refine) -> set[int]:
    """Return the indices of the refinements to keep: ``plan.keep`` per group, unscored ones never."""
    groups: dict[str, list[int]] = {}
    for index, item in enumerate(items):
        if item.feedback is not None and item.feedback.score is not None:
            groups.setdefault(item.source.group, []).append(index)

    def rank(index: int) -> tuple[bool, str]:
        item = items[index]
        wrong = plan.select.startswith("correct") and (item.feedback is None or item.feedback.correct is not True)
        return wrong, "" if plan.select.endswith("_or_first") or plan.select == "first" else _draw(item)

    return {index for indices in groups.values() for index in sorted(indices, key=rank)[: plan.keep]}
