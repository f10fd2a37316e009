"""Evaluation: how good the graph is on examples it does not train on, with 95 % intervals.

The interval of one right-or-wrong sample per example is Wilson's score interval. Otherwise, and for gains, it is the
normal interval over examples: ``mean +- 1.96 sd / sqrt(n)``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import comb, sqrt
from statistics import fmean, stdev
from typing import final

from textgrad_rl_graphs.errors import DataError
from textgrad_rl_graphs.feedback import Case, Critic, Feedback
from textgrad_rl_graphs.graph import Graph
from textgrad_rl_graphs.judging import ajudge
from textgrad_rl_graphs.trace import Trace
from textgrad_rl_graphs.types import Example, Usage

_Z = 1.959964  # two-sided 95 %


@final
@dataclass(frozen=True, slots=True)
class Evaluation:
    """The result of running a graph on examples.

    Attributes:
        mean, low, high: mean over examples and its 95 % interval; of the verdicts, or of the scores without verdicts.
        n: examples that were scored.
        pass_at: unbiased estimate of the chance that one of k samples is right, by k.
        usage: what it cost.
        unscored: examples without any scored sample.
        values: the mean of every example, for paired comparisons.
    """

    mean: float
    low: float
    high: float
    n: int
    pass_at: Mapping[int, float] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)
    unscored: int = 0
    values: Mapping[str, float] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        """Show mean, interval and n."""
        return f"{self.mean:.1%} [{self.low:.1%}, {self.high:.1%}] (n = {self.n})"

    def record(self) -> dict[str, float | int]:
        """Return what records keep of it."""
        return {"mean": self.mean, "low": self.low, "high": self.high, "n": self.n, "unscored": self.unscored}


async def aevaluate(
    graph: Graph, examples: Sequence[Example], metric: Critic, *, samples: int = 1, seed: int = 0, step: int = 0
) -> Evaluation:
    """Run the graph on examples and judge it by a fixed yardstick.

    Seeds do not depend on the prompts' versions, so that two evaluations with one seed are paired.

    Raises:
        DataError: without examples, or when not one could be scored.
    """
    if not examples:
        raise DataError("there are no examples to evaluate on")
    traces, feedback = await judged_runs(graph, examples, metric, samples=samples, seed=seed, step=step)
    usage = Usage.sum([trace.usage for trace in traces])
    return summarize(examples, traces, feedback, usage)


async def judged_runs(
    graph: Graph, examples: Sequence[Example], metric: Critic, *, samples: int, seed: int, step: int
) -> tuple[list[Trace], list[Feedback]]:
    """Run every example ``samples`` times, with seeds that do not depend on prompt versions, and score the runs."""
    traces = await graph.arun_many(examples, samples=samples, step=step, seed=seed, versionless=True)
    return traces, await ajudge(metric, [Case.of(trace) for trace in traces], critiques=False)


def value_of(feedback: Feedback) -> float | None:
    """Return 1 or 0 where there is a verdict, else the score; None for what could not be scored."""
    if feedback.score is None:
        return None
    return feedback.score if feedback.correct is None else float(feedback.correct)


def summarize(
    examples: Sequence[Example], traces: Sequence[Trace], feedback: Sequence[Feedback], usage: Usage
) -> Evaluation:
    """Return the evaluation of judged runs."""
    by_example: dict[str, list[float]] = {}
    for trace, item in zip(traces, feedback, strict=True):
        if (value := value_of(item)) is not None:
            by_example.setdefault(trace.example_id, []).append(value)
    if not by_example:
        reasons = {item.critique for item in feedback if item.critique}
        raise DataError(
            f"not one of {len(traces)} runs could be scored: {'; '.join(sorted(reasons)[:3]) or 'no reason'}"
        )
    values = {key: fmean(parts) for key, parts in by_example.items()}
    single = all(len(parts) == 1 for parts in by_example.values()) and set(values.values()) <= {0.0, 1.0}
    n = len(values)
    mean = fmean(values.values())
    low, high = wilson(sum(values.values()), n) if single else mean_interval(list(values.values()))
    missing = len({example.key for example in examples}) - n
    return Evaluation(mean, low, high, n, _pass_at(list(by_example.values())), usage, missing, values)


def wilson(successes: float, n: int) -> tuple[float, float]:
    """Return Wilson's 95 % score interval of a proportion.

    Source: E. B. Wilson, 1927, https://doi.org/10.1080/01621459.1927.10502953.

    >>> [round(limit, 3) for limit in wilson(8, 10)]
    [0.49, 0.943]
    """
    share = successes / n
    centre = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z * sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2)) / (1 + _Z**2 / n)
    return max(0.0, centre - half), min(1.0, centre + half)


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the normal 95 % interval of a mean; a single value gives no width."""
    mean = fmean(values)
    half = _Z * stdev(values) / sqrt(len(values)) if len(values) > 1 else 0.0
    return mean - half, mean + half


def gain(before: Evaluation, after: Evaluation) -> tuple[float, float, float]:
    """Return mean, low and high of ``after - before``, paired by example.

    Raises:
        DataError: when they share no example.
    """
    shared = sorted(before.values.keys() & after.values.keys())
    if not shared:
        raise DataError("the two evaluations share no example, so there is no paired gain")
    differences = [after.values[key] - before.values[key] for key in shared]
    return fmean(differences), *mean_interval(differences)


def pass_at_k(n: int, right: int, k: int) -> float:
    """Return the unbiased estimate ``1 - C(n - right, k) / C(n, k)``.

    Source: https://arxiv.org/abs/2107.03374, equation 1.

    >>> pass_at_k(4, 1, 2)
    0.5
    """
    return 1.0 - comb(n - right, k) / comb(n, k)


def _pass_at(samples: Sequence[Sequence[float]]) -> dict[int, float]:
    """Return pass@k for k = 1, 2, 4, ... up to the fewest samples of an example; empty for graded scores."""
    if any(value not in (0.0, 1.0) for parts in samples for value in parts):
        return {}
    fewest = min(len(parts) for parts in samples)
    powers = [2**power for power in range(fewest.bit_length()) if 2**power <= fewest]
    return {k: fmean(pass_at_k(len(parts), round(sum(parts)), k) for parts in samples) for k in powers}
