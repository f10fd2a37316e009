"""Advantage estimators: from the rewards of a group to one advantage each.

    A = (R - mean(R)) / scale

Source: GRPO, https://arxiv.org/abs/2402.03300, equation 1 (``"std"``); Dr. GRPO, https://arxiv.org/abs/2503.20783
(``"none"``); REINFORCE++, https://arxiv.org/abs/2501.03262 (``"batch_std"``); RLOO, https://arxiv.org/abs/2402.14740
(``"leave_one_out"``: the mean is that of the other samples, which is ``G / (G - 1) (R - mean(R))``).
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Literal

Scale = Literal["none", "std", "batch_std", "leave_one_out"]
Baseline = Literal["group", "samples"]


def group_advantages(
    rewards: Sequence[float],
    scale: Scale = "none",
    epsilon: float = 1e-4,
    *,
    initial: int | None = None,
    batch: Sequence[float] = (),
) -> list[float]:
    """Return the advantage of every reward of a group; exactly 0 where all are equal.

    Standard deviations are those of a sample (n - 1), as in the released code of Critique-GRPO and in TRL: one right
    answer among eight gets 2.475 before epsilon, where that of a population would give 2.646.

    Args:
        rewards: of one group, its samples first.
        scale: what ``R - mean(R)`` is divided by: ``"none"`` 1, ``"std"`` the group's standard deviation,
            ``"batch_std"`` that of ``batch``, ``"leave_one_out"`` ``(G - 1) / G``.
        epsilon: added to a standard deviation.
        initial: the mean is that of the first so many; None for all.
        batch: rewards of all groups, for ``"batch_std"``.

    >>> group_advantages([0, 0, 0, 0, 0, 0, 0, 1])[-1]
    0.875
    >>> group_advantages([0, 1], "leave_one_out")  # each against the mean of the others
    [-1.0, 1.0]
    """
    if len(set(rewards)) <= 1:  # exactly zero, where float arithmetic would leave crumbs
        return [0.0] * len(rewards)
    mean = fmean(rewards[:initial] or rewards)
    match scale:
        case "none":
            divisor = 1.0
        case "std":
            divisor = stdev(rewards) + epsilon
        case "batch_std":
            divisor = stdev(batch) + epsilon
        case "leave_one_out":
            divisor = (len(rewards) - 1) / len(rewards)
    return [(reward - mean) / divisor for reward in rewards]
