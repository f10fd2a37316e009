"""Which rows are computed together: within a bound of memory, and with as little computed twice as possible.

Left out: bounds in bytes, which depend on the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from textgrad_rl.policies.prefix_tree import in_order, shared_tokens


def usual_tokens(device: Any) -> int:
    """Return how many tokens are computed together where nobody says: on the CPU more are no faster."""
    return 2048 if device.type == "cpu" else 8192


def micro_batches(sequences: Sequence[tuple[int, ...]], max_tokens: int) -> list[list[int]]:
    """Return the indices of token sequences that are computed together as one prefix tree.

    Sequences with a common beginning are neighbours when sorted; the cheapest places to cut that line are found by
    dynamic programming: fewest tokens over all trees, then fewest trees. The order the sequences come in only decides
    between equal ones.

    Args:
        sequences: with at least one token each.
        max_tokens: of a tree; a longer sequence makes a tree of its own.

    >>> micro_batches([(1, 2, 3, 4), (7, 8), (1, 2, 3, 5), (1, 2, 3, 6)], 6)
    [[0, 2, 3], [1]]
    """
    order = in_order(sequences)
    lengths = [len(sequences[index]) for index in order]
    shared = shared_tokens([sequences[index] for index in order])
    best = [(0, 0)]  # (tokens, trees) of the first sequences
    cut = [0]  # where the last of these trees begins
    for stop in range(1, len(order) + 1):
        found, start, tail = (best[stop - 1][0] + lengths[stop - 1], best[stop - 1][1] + 1), stop - 1, 0
        for first in range(stop - 2, -1, -1):
            tail += lengths[first + 1] - shared[first + 1]
            tokens = lengths[first] + tail
            if tokens > max_tokens:
                break
            found, start = min((found, start), ((best[first][0] + tokens, best[first][1] + 1), first))
        best.append(found)
        cut.append(start)
    batches, stop = [], len(order)
    while stop:
        batches.append(order[cut[stop] : stop])
        stop = cut[stop]
    return batches[::-1]
