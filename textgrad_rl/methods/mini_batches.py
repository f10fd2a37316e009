"""Mini-batches: the rows of a batch in parts of whole groups, one optimizer step each.

A group stays together because its rows share a prompt, which is then computed once, and a denominator
(:mod:`textgrad_rl.methods.aggregation`).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textgrad_rl.policies.rows import Row


def mini_batches(rows: Sequence[Row], count: int, seed: int) -> list[list[Row]]:
    """Return the rows in ``count`` parts with as many groups each, to within one; fewer parts where there are fewer.

    Args:
        rows: of a batch.
        count: parts, at least 1. One part holds the rows as they came.
        seed: of the order of the groups; within a group rows keep theirs.
    """
    if count == 1:
        return [list(rows)] if rows else []
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row)
    order = list(groups)
    random.Random(seed).shuffle(order)
    return [[row for group in order[start::count] for row in groups[group]] for start in range(min(count, len(order)))]
