"""A prefix tree of token sequences, laid out flat so that every shared token stands there once.

Tokens stand in preorder: after a token come all tokens that continue it, so what sees a token is one slice, which
begins with the token itself. That slice is all that attention has to know
(:mod:`textgrad_rl.policies.tree_attention`).

Left out: changing a tree; it is built anew for every micro-batch, in time linear in the tokens of its sequences.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple, Self, final


class Node(NamedTuple):
    """Tokens that follow each other without a branch.

    Args:
        start, stop: where they stand in the flat layout.
        end: where the last token stops that has them in its past; ``stop`` for a leaf.
    """

    start: int
    stop: int
    end: int


@final
@dataclass(frozen=True, slots=True, eq=False)  # equal if it is the same: what is made of a tree is found by it
class PrefixTree:
    """Distinct tokens of sequences in preorder.

    Args:
        ids: the tokens, S of them.
        depths: the position of each in its sequences.
        ends: the tokens from place ``j`` up to ``ends[j]`` are those that have token ``j`` in their past, itself
            included.
        places: for every sequence, where its tokens stand.
    """

    ids: tuple[int, ...]
    depths: tuple[int, ...]
    ends: tuple[int, ...]
    places: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, sequences: Sequence[tuple[int, ...]]) -> Self:
        """Return the tree of sequences; a sequence may be the beginning of another, or equal to it.

        >>> tree = PrefixTree.of([(1, 2, 3), (1, 2, 4, 5)])
        >>> tree.ids, tree.depths, tree.ends
        ((1, 2, 3, 4, 5), (0, 1, 2, 2, 3), (5, 5, 3, 5, 5))
        >>> tree.places
        ((0, 1, 2), (0, 1, 3, 4))
        """
        ids: list[int] = []
        depths: list[int] = []
        ends: list[int] = []
        path: list[int] = []  # where the tokens of the latest sequence stand
        places: dict[int, tuple[int, ...]] = {}
        order = in_order(sequences)
        for index, shared in zip(order, shared_tokens([sequences[index] for index in order]), strict=True):
            sequence = sequences[index]
            for place in path[shared:]:
                ends[place] = len(ids)
            path[shared:] = range(len(ids), len(ids) + len(sequence) - shared)
            ids.extend(sequence[shared:])
            depths.extend(range(shared, len(sequence)))
            ends.extend([0] * (len(sequence) - shared))
            places[index] = tuple(path)
        for place in path:
            ends[place] = len(ids)
        return cls(tuple(ids), tuple(depths), tuple(ends), tuple(places[index] for index in range(len(sequences))))

    def nodes(self) -> Iterator[Node]:
        """Yield the tokens in runs without a branch, in preorder.

        >>> list(PrefixTree.of([(1, 2, 3), (1, 2, 4, 5)]).nodes())
        [Node(start=0, stop=2, end=5), Node(start=2, stop=3, end=3), Node(start=3, stop=5, end=5)]
        """
        start = 0
        # Tokens that share their end and follow each other are in each other's past: only a branch can change it.
        for end, run in groupby(self.ends):
            stop = start + sum(1 for _ in run)
            yield Node(start, stop, end)
            start = stop


def in_order(sequences: Sequence[tuple[int, ...]]) -> list[int]:
    """Return the indices of sequences, sorted: those with a common beginning are neighbours."""
    return sorted(range(len(sequences)), key=lambda index: sequences[index])


def shared_tokens(ordered: Sequence[tuple[int, ...]]) -> list[int]:
    """Return how many tokens every sequence shares with the one before it: in order, all that it shares at all.

    >>> shared_tokens([(1, 2, 3), (1, 2, 4, 5), (6,)])
    [0, 2, 0]
    """
    return [_shared(before, after) for before, after in zip([(), *ordered], ordered, strict=False)]


def _shared(before: tuple[int, ...], after: tuple[int, ...]) -> int:
    """Return the length of the common beginning."""
    shortest = min(len(before), len(after))
    if before[:shortest] == after[:shortest]:
        return shortest
    return next(place for place in range(shortest) if before[place] != after[place])
