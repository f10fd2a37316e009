import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textgrad_rl.policies.prefix_tree import PrefixTree

SEQUENCES = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=9).map(tuple), max_size=8)
FIXED = settings(deadline=None, derandomize=True, max_examples=50)


@FIXED
@given(SEQUENCES)
def test_every_sequence_is_a_path(sequences: Any) -> None:
    tree = PrefixTree.of(sequences)
    for sequence, places in zip(sequences, tree.places, strict=True):
        assert tuple(tree.ids[place] for place in places) == sequence
        assert [tree.depths[place] for place in places] == list(range(len(sequence)))


@FIXED
@given(SEQUENCES)
def test_what_is_shared_stands_there_once(sequences: Any) -> None:
    beginnings = {sequence[: place + 1] for sequence in sequences for place in range(len(sequence))}
    assert len(PrefixTree.of(sequences).ids) == len(beginnings)


@FIXED
@given(SEQUENCES)
def test_what_follows_a_token_is_one_slice(sequences: Any) -> None:
    tree = PrefixTree.of(sequences)
    for place, end in enumerate(tree.ends):
        followers = {later for places in tree.places if place in places for later in places[places.index(place) :]}
        assert followers == set(range(place, end))


@FIXED
@given(SEQUENCES)
def test_nodes_are_the_runs_between_branches(sequences: Any) -> None:
    tree = PrefixTree.of(sequences)
    nodes = list(tree.nodes())
    assert [place for node in nodes for place in range(node.start, node.stop)] == list(range(len(tree.ids)))
    # No more than the edges of a tree with so many leaves and so many sequences that end inside an edge or at a branch.
    assert len(nodes) <= max(0, 2 * len(set(sequences)) - 1)
    for node in nodes:
        assert {tree.ends[place] for place in range(node.start, node.stop)} == {node.end}


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_the_sequences_does_not_matter(seed: int) -> None:
    sequences = [(1, 2, 3), (1, 2), (4,), (1, 2, 4, 4), (1, 2)]
    tree = PrefixTree.of(sequences)
    order = random.Random(seed).sample(range(len(sequences)), len(sequences))
    other = PrefixTree.of([sequences[index] for index in order])
    assert (other.ids, other.depths, other.ends) == (tree.ids, tree.depths, tree.ends)
    assert other.places == tuple(tree.places[index] for index in order)
