from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textgrad_rl.policies.micro_batches import micro_batches
from textgrad_rl.policies.prefix_tree import PrefixTree, in_order

SEQUENCES = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=6).map(tuple), max_size=6)
FIXED = settings(deadline=None, derandomize=True, max_examples=50)


def tokens(sequences: Any, batch: Any) -> int:
    return len(PrefixTree.of([sequences[index] for index in batch]).ids)


def splits(order: list[int]) -> Any:
    """Every way to cut a line."""
    for cuts in range(1 << max(0, len(order) - 1)):
        places = [0, *(place + 1 for place in range(len(order) - 1) if cuts >> place & 1), len(order)]
        yield [order[start:stop] for start, stop in pairwise(places)]


@FIXED
@given(SEQUENCES, st.integers(1, 20))
def test_no_cut_of_the_sorted_line_computes_fewer_tokens(sequences: Any, bound: int) -> None:
    found = micro_batches(sequences, bound)
    assert sorted(index for batch in found for index in batch) == list(range(len(sequences)))
    allowed = [
        [tokens(sequences, batch) for batch in split]
        for split in splits(in_order(sequences))
        if sequences and all(len(batch) == 1 or tokens(sequences, batch) <= bound for batch in split)
    ]
    best = min(((sum(counts), len(counts)) for counts in allowed), default=(0, 0))
    assert (sum(tokens(sequences, batch) for batch in found), len(found)) == best


def test_groups_stay_together_where_they_fit() -> None:
    prompts = [(1,) * 10, (2,) * 10, (3,) * 10]
    sequences = [(*prompts[member % 3], 4 + member) for member in range(12)]
    # Two groups of 14 tokens and a half would fit; cutting the third in two would compute its prompt twice.
    batches = micro_batches(sequences, 35)
    groups = sorted({index % 3 for index in batch} for batch in batches)
    assert sum(len(group) for group in groups) == 3
    assert len(batches) == 2


@pytest.mark.parametrize("max_tokens", [1, 7, 12, 1000])
def test_a_batch_beyond_the_bound_is_one_sequence(max_tokens: int) -> None:
    sequences = [(1,) * (1 + place % 5) + (2,) * (1 + place % 3) for place in range(20)]
    for batch in micro_batches(sequences, max_tokens):
        assert tokens(sequences, batch) <= max_tokens or len(batch) == 1


def test_the_order_of_arrival_does_not_matter() -> None:
    sequences = [(1, place % 3, place) for place in range(20)]
    for bound in (3, 9, 30):
        batches = [[sequences[index] for index in batch] for batch in micro_batches(sequences, bound)]
        reverse = sequences[::-1]
        assert [[reverse[index] for index in batch] for batch in micro_batches(reverse, bound)] == batches
