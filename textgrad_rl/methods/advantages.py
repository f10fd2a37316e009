"""Advantages: from the scores of a group to credit for every call of a policy.

Credit ``"shared"``: every call of a trace gets the trace's advantage ``R - mean(R of its group)``, where a group is
the samples of one example and its kept refinements. Calls of one policy share a trace's weight, so a loop of five
calls does not weigh five times.

Credit ``"local"``: a call of a node with a critic gets ``S - mean(S of its group)`` of its own scores S, where a group
is the n-th call of the node in each of the example's samples. Other calls keep ``"shared"``.

Imitation, for the supervised methods: right responses get the advantage 1, all others have no row.

Left out so far: the credits ``"branch"`` and ``"intervention"``, and local groups of identical context only.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from math import isfinite
from typing import Literal, NamedTuple

from textgrad_rl.methods.estimators import Baseline, Scale, group_advantages
from textgrad_rl.policies.rows import Row, Segment
from textgrad_rl_graphs.errors import ConfigError, DataError, GraphError, ModelError, UnknownNameError
from textgrad_rl_graphs.feedback import Feedback
from textgrad_rl_graphs.node import LLM
from textgrad_rl_graphs.node_feedback import NodeFeedback, critic_of, judged_calls
from textgrad_rl_graphs.refine import Refinement
from textgrad_rl_graphs.trace import Call, Trace
from textgrad_rl_graphs.types import Completion

Imitate = Literal["samples", "refinements", "both"]
CREDITS = ("local", "shared")


def advantages(
    traces: Sequence[Trace],
    feedback: Sequence[Feedback],
    refinements: Sequence[Refinement] = (),
    *,
    credit: str = "shared",
    nodes: NodeFeedback | None = None,
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
        credit: how scores become credit of calls; ``"shared"`` or ``"local"``.
        nodes: for ``"local"``, what critics of nodes said of the traces, and of the refined calls in the re-runs of
            kept refinements, as :func:`~textgrad_rl_graphs.node_feedback.judge_nodes` returns it.
        scale: what ``R - mean(R)`` is divided by; see :mod:`textgrad_rl.methods.estimators`.
        baseline: whether the mean is that of the whole ``"group"`` or of its ``"samples"`` alone.
        imitate: which right responses are imitated, advantage 1, instead; None for none.
        replace: refinements take the place of the first samples of their group instead of joining it.

    Raises:
        ConfigError: for an unknown credit, or to imitate without a single verdict on what is right.
        GraphError: when traces and feedback differ in number, or a call of a node with a critic was not judged.
        DataError: for a score that is not finite.
    """
    if credit not in CREDITS:
        raise UnknownNameError("credit", credit, CREDITS)
    if len(traces) != len(feedback):
        raise GraphError(
            f"advantages got {len(traces)} traces and {len(feedback)} pieces of feedback; one each, please"
        )
    scored = [item for item in feedback if item.score is not None]
    if imitate and scored and all(item.correct is None for item in scored):
        raise ConfigError("right responses are imitated, but the critic says of none whether it is right; use one with")
    graphs = {id(trace.graph): trace.graph for trace in traces}.values()
    paths = {id(item): path for graph in graphs for path, item in graph.parameters().items()}
    judged = [_shared_members(traces, feedback, refinements)]
    if credit == "local":
        judged += _local_members(traces, refinements, nodes or {})
    rows: dict[str, list[Row]] = {}
    segments: dict[tuple[int, ...], Segment] = {}
    for members in judged:
        for member, reward, value in _valued(members, scale, baseline, replace=replace):
            if imitate is None or _imitated(member, imitate):
                for call, completion, weight in _answers(member, local=credit == "local"):
                    row = _row(
                        member, call, completion, segments, advantage=1.0 if imitate else value, reward=reward,
                        weight=weight,
                    )  # fmt: skip
                    rows.setdefault(paths[_policy(call)], []).append(row)
    return rows


class _Member(NamedTuple):
    """One of a group: a sample, or a kept refinement of one.

    Attributes:
        trace: the sample.
        feedback: on it, its refinement, or one of its calls.
        group: which members are compared.
        refinement: None for a sample.
        call: what the feedback is about; None for the whole run.
    """

    trace: Trace
    feedback: Feedback
    group: str
    refinement: Refinement | None = None
    call: Call | None = None


def _shared_members(
    traces: Sequence[Trace], feedback: Sequence[Feedback], refinements: Sequence[Refinement]
) -> list[_Member]:
    """Return the samples and their kept refinements, each with the feedback on its output."""
    samples = [_Member(trace, item, trace.group) for trace, item in zip(traces, feedback, strict=True)]
    known = {trace.group for trace in traces}
    return samples + [
        _Member(item.source, item.feedback, item.source.group, item)
        for item in refinements
        if item.kept and item.feedback is not None and item.source.group in known
    ]


def _local_members(
    traces: Sequence[Trace], refinements: Sequence[Refinement], nodes: NodeFeedback
) -> list[list[_Member]]:
    """Return the judged calls of policies by node, whose critic they share, samples before kept refinements."""
    members: defaultdict[str, list[_Member]] = defaultdict(list)
    groups: dict[tuple[str, str], str] = {}
    for trace in traces:
        seen: Counter[str] = Counter()
        for call in judged_calls(trace):
            groups[trace.id, call.key] = f"{trace.group}/{call.path}/{seen[call.path]}"
            seen[call.path] += 1
            if _trainable(call):
                item = _said(nodes, trace, call)
                members[call.path].append(_Member(trace, item, groups[trace.id, call.key], call=call))
    for refined in refinements:
        group = groups.get((refined.source.id, refined.call.key))
        if refined.kept and refined.trace is not None and group is not None and _trainable(refined.call):
            item = _said(nodes, refined.trace, refined.call)
            members[refined.call.path].append(_Member(refined.source, item, group, refined, refined.call))
    return list(members.values())


def _said(nodes: NodeFeedback, trace: Trace, call: Call) -> Feedback:
    if (trace.id, call.key) not in nodes:
        raise GraphError(
            f"{call.path} has a critic, but nodes= holds no feedback on its call in the run {trace.id}; pass "
            "nodes=judge_nodes([*traces, *(item.trace for item in refinements if item.kept)])"
        )
    return nodes[trace.id, call.key]


def _valued(
    members: Sequence[_Member], scale: Scale, baseline: Baseline, *, replace: bool
) -> Iterator[tuple[_Member, float, float]]:
    """Yield the scored members, group by group, each with its reward and advantage."""
    groups = _groups(members, replace=replace)
    rewards = [[_score(member) for member in group] for group in groups]
    batch = [reward for group in rewards for reward in group]
    for group, scores in zip(groups, rewards, strict=True):
        initial = sum(member.refinement is None for member in group) if baseline == "samples" else None
        values = group_advantages(scores, scale, initial=initial, batch=batch)
        yield from zip(group, scores, values, strict=True)


def _groups(members: Sequence[_Member], *, replace: bool) -> list[list[_Member]]:
    """Return the scored members of every group: samples, then kept refinements."""
    samples: dict[str, list[_Member]] = {member.group: [] for member in members}
    kept: dict[str, list[_Member]] = {member.group: [] for member in members}
    for member in members:
        if member.feedback.score is not None:
            (samples if member.refinement is None else kept)[member.group].append(member)
    return [samples[group][len(kept[group]) if replace else 0 :] + kept[group] for group in samples]


def _imitated(member: _Member, imitate: Imitate) -> bool:
    kind = "samples" if member.refinement is None else "refinements"
    return member.feedback.correct is True and imitate in (kind, "both")


def _answers(member: _Member, *, local: bool) -> Iterator[tuple[Call, Completion | None, float]]:
    """Yield the calls of policies that a member has credit for, each with its answer and its share of the sample.

    Where credit is local, the feedback on the whole run is no credit for nodes that have a critic.
    """
    if member.refinement is not None:
        call = member.refinement.call
        if _trainable(call) and (member.call is call or not (local and critic_of(call))):
            yield call, member.refinement.completion, 1.0
        return
    calls = [call for call in member.trace.ordered() if _trainable(call)]
    counts = Counter(_policy(call) for call in calls)
    for call in calls:
        if member.call is call or (member.call is None and not (local and critic_of(call))):
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
