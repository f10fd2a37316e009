"""Advantages: from the scores of a group to credit for every call of a policy.

Credit ``"shared"``: every call of a trace gets the trace's advantage ``R - mean(R of its group)``, where a group is
the samples of one example and its kept refinements. Calls of one policy share a trace's weight, so a loop of five
calls does not weigh five times.

Left out so far: the credits ``"branch"``, ``"intervention"`` and ``"local"``.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from math import isfinite
from statistics import fmean, stdev
from typing import Literal

from textgrad_rl.policies.rows import Row, Segment
from textgrad_rl_graphs.errors import ConfigError, DataError, GraphError, ModelError
from textgrad_rl_graphs.feedback import Feedback
from textgrad_rl_graphs.node import LLM
from textgrad_rl_graphs.refine import Refinement
from textgrad_rl_graphs.trace import Call, Trace
from textgrad_rl_graphs.types import Completion

Scale = Literal["none", "std"]


def group_advantages(rewards: Sequence[float], scale: Scale = "none", epsilon: float = 1e-4) -> list[float]:
    """Return ``R - mean(R)``, divided by ``std(R) + epsilon`` for ``scale="std"``.

    The standard deviation is that of a sample (n - 1), as in the released code of Critique-GRPO and in TRL: one right
    answer among eight gets 2.475 before epsilon, where that of a population would give 2.646.

    Source: GRPO, https://arxiv.org/abs/2402.03300, equation 1 (with std); Dr. GRPO,
    https://arxiv.org/abs/2503.20783 (without).

    >>> group_advantages([0, 0, 0, 0, 0, 0, 0, 1])[-1]
    0.875
    """
    if not rewards:
        return []
    if len(set(rewards)) == 1:  # exactly zero, where float arithmetic would leave crumbs
        return [0.0] * len(rewards)
    mean = fmean(rewards)
    divisor = stdev(rewards) + epsilon if scale == "std" else 1.0
    return [(reward - mean) / divisor for reward in rewards]


def advantages(
    traces: Sequence[Trace],
    feedback: Sequence[Feedback],
    refinements: Sequence[Refinement] = (),
    *,
    credit: str = "shared",
    scale: Scale = "none",
    replace: bool = False,
) -> dict[str, list[Row]]:
    """Return the training rows of every policy by its path.

    Args:
        traces: the initial samples.
        feedback: one per trace; unscored ones leave the group's mean and are not trained.
        refinements: attempts; only kept ones enter. Their row is the refined response under the node's own prompt.
        credit: how a trace's score becomes credit of its calls; ``"shared"``.
        scale: whether to divide by the group's standard deviation.
        replace: refinements take the place of the first samples of their group instead of joining it.

    Raises:
        GraphError: when traces and feedback differ in number.
        DataError: for a score that is not finite.
    """
    if credit != "shared":
        raise ConfigError(f"unknown credit {credit!r}. Known: shared.")
    if len(traces) != len(feedback):
        raise GraphError(
            f"advantages got {len(traces)} traces and {len(feedback)} pieces of feedback; one each, please"
        )
    graphs = {id(trace.graph): trace.graph for trace in traces}.values()
    paths = {id(item): path for graph in graphs for path, item in graph.parameters().items()}
    rows: dict[str, list[Row]] = {}
    segments: dict[tuple[int, ...], Segment] = {}
    kept = [item for item in refinements if item.kept and item.feedback is not None]
    for group in dict.fromkeys(trace.group for trace in traces):
        samples = [
            (trace, _score(trace, item))
            for trace, item in zip(traces, feedback, strict=True)
            if trace.group == group and item.score is not None
        ]
        refined = [(item, _score(item.source, item.feedback)) for item in kept if item.source.group == group]  # type: ignore[arg-type]
        if replace:
            samples = samples[len(refined) :]
        scores = [score for _, score in samples] + [score for _, score in refined]
        values = group_advantages(scores, scale)
        for (trace, score), advantage in zip(samples, values[: len(samples)], strict=True):
            calls = [call for call in trace.ordered() if _trainable(call)]
            counts = Counter(paths[_policy(call)] for call in calls)
            for call in calls:
                path = paths[_policy(call)]
                row = _row(trace, call, call.completion, segments, advantage=advantage, reward=score, kind="sample")
                rows.setdefault(path, []).append(dataclasses.replace(row, weight=1 / counts[path]))
        for (item, score), advantage in zip(refined, values[len(samples) :], strict=True):
            call = item.call
            if _trainable(call):
                row = _row(
                    item.source, call, item.completion, segments, advantage=advantage, reward=score, kind="refinement"
                )
                rows.setdefault(paths[_policy(call)], []).append(row)
    return rows


def _row(
    trace: Trace,
    call: Call,
    completion: Completion | None,
    segments: dict[tuple[int, ...], Segment],
    *,
    advantage: float,
    reward: float,
    kind: Literal["sample", "refinement"],
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
        group=f"{trace.group}/{call.path}",
        kind=kind,
        # Greedy sampling has no tempered distribution to train; the model's own is.
        temperature=call.node.sampling.temperature or 1.0,
        source=f"{trace.id}/{call.key}",
    )


def _score(trace: Trace, feedback: Feedback) -> float:
    assert feedback.score is not None
    if not isfinite(feedback.score):
        raise DataError(f"the critic scored {trace.id} with {feedback.score}; scores have to be finite numbers")
    return feedback.score


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
