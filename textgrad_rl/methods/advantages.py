"""Advantages: from the scores of a group to credit for every call of a policy.

Credit ``"shared"``: every call of a trace gets the trace's advantage ``R - mean(R of its group)``, where a group is
the samples of one example and its kept refinements. Calls of one policy share a trace's weight, so a loop of five
calls does not weigh five times.

Imitation, for the supervised methods: right responses get the advantage 1, all others have no row.

Left out so far: the credits ``"branch"``, ``"intervention"`` and ``"local"``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from math import isfinite
from typing import Literal, NamedTuple

from textgrad_rl.methods.estimators import Baseline, Scale, group_advantages
from textgrad_rl.policies.rows import Row, Segment
from textgrad_rl_graphs.errors import ConfigError, DataError, GraphError, ModelError
from textgrad_rl_graphs.feedback import Feedback
from textgrad_rl_graphs.node import LLM
from textgrad_rl_graphs.refine import Refinement
from textgrad_rl_graphs.trace import Call, Trace
from textgrad_rl_graphs.types import Completion

Imitate = Literal["samples", "refinements", "both"]


def advantages(
    traces: Sequence[Trace],
    feedback: Sequence[Feedback],
    refinements: Sequence[Refinement] = (),
    *,
    credit: str = "shared",
    scale: Scale = "none",
    baseline: Baseline = "group",
    imitate: Imitate | None = None,
    replace: bool = False,
) -> dict[str, list[Row]]:
    """Return the training rows of every policy by its path.

    Args:
        traces: the initial samples.
        feedback: one per trace; unscored ones leave the group's mean and are not trained.
        refinements: attempts; only kept ones enter. Their row is the refined response under the node's own prompt.
        credit: how a trace's score becomes credit of its calls; ``"shared"``.
        scale: what ``R - mean(R)`` is divided by; see :mod:`textgrad_rl.methods.estimators`.
        baseline: whether the mean is that of the whole ``"group"`` or of its ``"samples"`` alone.
        imitate: which right responses are imitated, advantage 1, instead; None for none.
        replace: refinements take the place of the first samples of their group instead of joining it.

    Raises:
        ConfigError: to imitate without a single verdict on what is right.
        GraphError: when traces and feedback differ in number.
        DataError: for a score that is not finite.
    """
    if credit != "shared":
        raise ConfigError(f"unknown credit {credit!r}. Known: shared.")
    if len(traces) != len(feedback):
        raise GraphError(
            f"advantages got {len(traces)} traces and {len(feedback)} pieces of feedback; one each, please"
        )
    scored = [item for item in feedback if item.score is not None]
    if imitate and scored and all(item.correct is None for item in scored):
        raise ConfigError("right responses are imitated, but the critic says of none whether it is right; use one with")
    graphs = {id(trace.graph): trace.graph for trace in traces}.values()
    paths = {id(item): path for graph in graphs for path, item in graph.parameters().items()}
    groups = _groups(traces, feedback, refinements, replace=replace)
    rewards = [[_score(member) for member in group] for group in groups]
    batch = [reward for group in rewards for reward in group]
    rows: dict[str, list[Row]] = {}
    segments: dict[tuple[int, ...], Segment] = {}
    for group, scores in zip(groups, rewards, strict=True):
        initial = sum(member.refinement is None for member in group) if baseline == "samples" else None
        values = group_advantages(scores, scale, initial=initial, batch=batch)
        for member, reward, value in zip(group, scores, values, strict=True):
            if imitate is None or _imitated(member, imitate):
                for call, completion, weight in _answers(member):
                    row = _row(
                        member, call, completion, segments, advantage=1.0 if imitate else value, reward=reward,
                        weight=weight,
                    )  # fmt: skip
                    rows.setdefault(paths[_policy(call)], []).append(row)
    return rows


class _Member(NamedTuple):
    """One of a group: a sample, or a kept refinement of one."""

    trace: Trace
    feedback: Feedback
    refinement: Refinement | None = None


def _groups(
    traces: Sequence[Trace], feedback: Sequence[Feedback], refinements: Sequence[Refinement], *, replace: bool
) -> list[list[_Member]]:
    """Return the members of every group: scored samples, then kept refinements."""
    samples: dict[str, list[_Member]] = {trace.group: [] for trace in traces}
    kept: dict[str, list[_Member]] = {trace.group: [] for trace in traces}
    for trace, item in zip(traces, feedback, strict=True):
        if item.score is not None:
            samples[trace.group].append(_Member(trace, item))
    for refined in refinements:
        if refined.kept and refined.feedback is not None and refined.source.group in kept:
            kept[refined.source.group].append(_Member(refined.source, refined.feedback, refined))
    return [samples[group][len(kept[group]) if replace else 0 :] + kept[group] for group in samples]


def _imitated(member: _Member, imitate: Imitate) -> bool:
    kind = "samples" if member.refinement is None else "refinements"
    return member.feedback.correct is True and imitate in (kind, "both")


def _answers(member: _Member) -> Iterator[tuple[Call, Completion | None, float]]:
    """Yield the calls of policies that a member has credit for, each with its answer and its share of the sample."""
    if member.refinement is not None:
        if _trainable(member.refinement.call):
            yield member.refinement.call, member.refinement.completion, 1.0
        return
    calls = [call for call in member.trace.ordered() if _trainable(call)]
    counts = Counter(_policy(call) for call in calls)
    for call in calls:
        yield call, call.completion, 1 / counts[_policy(call)]


def _row(
    member: _Member,
    call: Call,
    completion: Completion | None,
    segments: dict[tuple[int, ...], Segment],
    *,
    advantage: float,
    reward: float,
    weight: float,
) -> Row:
    """Return the row of a response under the call's own prompt, whatever context it was sampled in."""
    own, answer = _tokens(call, call.completion), _tokens(call, completion)
    if own.model != answer.model:
        raise ModelError(
            f"{call.path}: {answer.model} refined a response of {own.model}; only tokens of the policy itself can be "
            "trained, so leave Refine(model=...) unset, or freeze the weights"
        )
    prompt_ids = own.prompt_ids
    assert isinstance(call.node, LLM)
    return Row(
        context=segments.setdefault(prompt_ids, Segment(prompt_ids)),
        output_ids=answer.output_ids,
        logprobs=answer.logprobs,
        advantage=advantage,
        reward=reward,
        group=f"{member.trace.group}/{call.path}",
        kind="sample" if member.refinement is None else "refinement",
        # Greedy sampling has no tempered distribution to train; the model's own is.
        temperature=call.node.sampling.temperature or 1.0,
        weight=weight,
        source=f"{member.trace.id}/{call.key}",
    )


def _score(member: _Member) -> float:
    score = member.feedback.score
    assert score is not None
    if not isfinite(score):
        raise DataError(f"the critic scored {member.trace.id} with {score}; scores have to be finite numbers")
    return score


def _policy(call: Call) -> int:
    """Return the identity of the model that a call asked."""
    assert isinstance(call.node, LLM)
    return id(call.node.model)


def _trainable(call: Call) -> bool:
    return isinstance(call.node, LLM) and call.node.model.trainable and call.completion is not None


def _tokens(call: Call, completion: Completion | None) -> Completion:
    """Return a completion that has its token ids."""
    if completion is None or not completion.prompt_ids or not completion.output_ids:
        raise ModelError(
            f"{call.path}: the answer came without token ids, so no weights can be trained on it; a refinement has to "
            "be written by the policy itself (leave Refine(model=...) unset)"
        )
    return completion
