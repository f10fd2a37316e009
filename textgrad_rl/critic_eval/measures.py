"""How well scores and verdicts agree with labels: pure functions on numbers.

Labels are True for right responses; scores are higher for better ones. Left out: curves (ROC, precision and recall),
and thresholds fitted to the labels.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Sequence
from statistics import fmean
from typing import NamedTuple

from textgrad_rl.trainer.evaluation import wilson


class Share(NamedTuple):
    """A share of n outcomes with the limits of its 95 % interval."""

    mean: float
    low: float
    high: float
    n: int


def share(outcomes: Sequence[bool], clusters: Sequence[Hashable]) -> Share | None:
    """Return the share of true outcomes; None without any.

    The interval is Wilson's at the effective sample size ``n / d`` with Kish's design effect
    (L. Kish, Survey Sampling, 1965)::

        d = sum_c (sum_{i in c} (x_i - p))^2 / (n p (1 - p)),    clamped so that clusters <= n / d <= n

    Args:
        outcomes: what happened.
        clusters: what each belongs to; outcomes of the same question need not be independent.

    >>> share([True, False, True, True], "abcd").mean
    0.75
    """
    n = len(outcomes)
    if not n:
        return None
    mean = fmean(outcomes)
    sums: dict[Hashable, float] = {}
    for outcome, cluster in zip(outcomes, clusters, strict=True):
        sums[cluster] = sums.get(cluster, 0.0) + outcome - mean
    between, within = sum(value * value for value in sums.values()), n * mean * (1 - mean)
    effective = n * within / between if between > 0 else n * (within > 0)  # all alike: one outcome per cluster
    effective = min(n, max(len(sums), round(effective)))
    return Share(mean, *wilson(mean * effective, effective), n)


def auroc(scores: Sequence[float], labels: Sequence[bool]) -> float | None:
    """Return the chance that a right response scores above a wrong one, ties counted half; None without either kind.

    ``(1 / (n+ n-)) sum_{right i, wrong j} [s_i > s_j] + [s_i = s_j] / 2``: the Mann-Whitney statistic, equal to the
    area under the ROC curve (Hanley and McNeil 1982, https://doi.org/10.1148/radiology.143.1.7063747).

    >>> auroc([0.9, 0.5, 0.5, 0.1], [True, True, False, False])
    0.875
    """
    wrong = sorted(score for score, label in zip(scores, labels, strict=True) if not label)
    right = [score for score, label in zip(scores, labels, strict=True) if label]
    if not right or not wrong:
        return None
    wins = sum(bisect_left(wrong, score) + bisect_right(wrong, score) for score in right) / 2
    return wins / (len(right) * len(wrong))


def brier(scores: Sequence[float], labels: Sequence[bool]) -> float | None:
    """Return ``mean((score - label)^2)``, 0 at best; None for scores that are no probabilities, or without any.

    Brier 1950, https://doi.org/10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.

    >>> brier([1.0, 0.5], [True, False])
    0.125
    """
    if not are_probabilities(scores):
        return None
    return fmean((score - label) ** 2 for score, label in zip(scores, labels, strict=True))


def calibration_error(scores: Sequence[float], labels: Sequence[bool], *, bins: int = 10) -> float | None:
    """Return the expected calibration error, 0 at best; None for scores that are no probabilities, or without any.

    ``sum_b n_b / n |share of right in b - mean score in b|`` over bins of equal mass (Naeini et al. 2015,
    https://doi.org/10.1609/aaai.v29i1.9602, with quantiles as in Nguyen and O'Connor 2015,
    https://arxiv.org/abs/1508.05154). Equal scores share a bin, so the order of the samples does not matter.

    >>> calibration_error([0.75] * 4, [True, True, True, False])
    0.0
    """
    if not are_probabilities(scores):
        return None
    ordered = sorted(scores)
    members: dict[int, list[tuple[float, bool]]] = {}
    for score, label in zip(scores, labels, strict=True):
        members.setdefault(bisect_left(ordered, score) * bins // len(ordered), []).append((score, label))
    gaps = [abs(sum(label - score for score, label in items)) for items in members.values()]
    return sum(gaps) / len(ordered)


def pareto_front(costs: Sequence[float], values: Sequence[float], *, noise: float = 1.0) -> list[bool]:
    """Tell of each point whether nothing is as good for less, nor better for no more.

    A point is behind the front when another has at least its value at less than ``cost / noise``, or a higher value at
    no higher cost.

    Args:
        costs: lower is better, none negative.
        values: higher is better.
        noise: a factor, at least 1, by which costs have to differ before they decide between equal values.

    >>> pareto_front([1, 2, 3, 1.1], [0.7, 0.9, 0.8, 0.7], noise=1.5)
    [True, True, False, True]
    """
    points = list(zip(costs, values, strict=True))
    return [
        not any(
            (other >= value and price * noise < cost) or (other > value and price <= cost) for price, other in points
        )
        for cost, value in points
    ]


def are_probabilities(scores: Sequence[float]) -> bool:
    """Tell whether there are scores and all lie in [0, 1]."""
    return bool(scores) and all(0 <= score <= 1 for score in scores)
