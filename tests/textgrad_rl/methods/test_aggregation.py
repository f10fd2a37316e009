import random
from typing import get_args

import pytest

from textgrad_rl.methods.aggregation import (
    Aggregation,
    aggregate,
    check_aggregation,
    constant_length,
    group_sum,
    sequence_mean,
    token_mean,
)
from textgrad_rl.policies.rows import Row, Segment
from textgrad_rl_graphs.errors import ConfigError


def row(length, group="g", kind="sample", weight=1.0):
    return Row(
        context=Segment((1,)), output_ids=(2,) * length, logprobs=(-1.0,) * length, advantage=1.0, reward=1.0,
        group=group, kind=kind, weight=weight,
    )  # fmt: skip


def masses(weights, rows):
    """What each row weighs: the weight of a token times the number of tokens."""
    return [weight * len(item.output_ids) for weight, item in zip(weights, rows, strict=True)]


def test_sequence_mean_gives_every_sequence_the_same_say_whatever_its_length():
    rows = [row(1), row(10), row(100)]
    assert masses(sequence_mean(rows), rows) == pytest.approx([1 / 3] * 3)


def test_constant_length_gives_every_token_the_same_say():
    rows = [row(1), row(10), row(100)]
    assert constant_length(rows, 50) == pytest.approx([1 / 150] * 3)


@pytest.mark.parametrize("n", [1, 3, 7])
@pytest.mark.parametrize("k", [1, 2])
def test_group_sum_weighs_the_refinements_as_much_as_all_samples(n, k):
    rows = [row(5) for _ in range(n)] + [row(2, kind="refinement") for _ in range(k)]
    weights = group_sum(rows)
    assert sum(weights[:n]) == pytest.approx(1.0)
    assert sum(weights[n:]) == pytest.approx(1.0)
    assert len(set(weights[:n])) == 1  # no length in it


def test_group_sum_weighs_every_group_alike():
    rows = [row(1, "a")] * 2 + [row(1, "b")] * 6
    weights = group_sum(rows)
    assert sum(weights[:2]) == pytest.approx(0.5)
    assert sum(weights[2:]) == pytest.approx(0.5)


@pytest.mark.parametrize("name", get_args(Aggregation))
def test_a_loop_of_five_calls_weighs_as_much_as_one_call(name):
    length = 8 if name == "constant_length" else None
    loop, single = [row(8, "a", weight=1 / 5) for _ in range(5)], [row(8, "b")]
    weights = aggregate(name, [*loop, *single], length)
    assert sum(weights[:5]) == pytest.approx(weights[5])
    plain = aggregate(name, [row(8, "a"), row(8, "b")], length)
    assert weights[5] == pytest.approx(plain[1])  # and does not thin out the others


def test_one_refinement_weighs_as_much_as_all_samples_in_a_loop_and_beside_other_nodes_too():
    rows = [row(3, weight=1 / 5) for _ in range(15)] + [row(3, kind="refinement")]
    weights = group_sum(rows)
    assert sum(weights[:15]) == pytest.approx(weights[15])
    nodes = [row(3, f"g/{node}", weight=0.5) for node in "ab" for _ in range(4)] + [row(3, "g/a", kind="refinement")]
    weights = group_sum(nodes)
    assert sum(weights[:4]) == pytest.approx(weights[8])


@pytest.mark.parametrize("name", get_args(Aggregation))
def test_the_order_of_the_rows_does_not_matter(name):
    draw = random.Random(0)
    rows = [
        row(draw.randint(1, 9), draw.choice("abc"), draw.choice(["sample", "refinement"]), 1 / draw.randint(1, 7))
        for _ in range(40)
    ]
    length = 9 if name == "constant_length" else None
    weights = dict(zip(map(id, rows), aggregate(name, rows, length), strict=True))
    for _ in range(3):
        draw.shuffle(rows)
        assert dict(zip(map(id, rows), aggregate(name, rows, length), strict=True)) == weights  # to the last bit


def test_token_mean_is_over_all_tokens_of_the_step():
    rows = [row(1), row(10), row(100)]
    assert token_mean(rows) == pytest.approx([1 / 111] * 3)
    assert sum(masses(token_mean(rows), rows)) == pytest.approx(1.0)


@pytest.mark.parametrize("name", get_args(Aggregation))
def test_empty_answers_and_empty_steps_have_weights_too(name):
    length = 9 if name == "constant_length" else None
    assert aggregate(name, [], length) == []
    assert len(aggregate(name, [row(0)], length)) == 1


def test_settings_that_cannot_be_computed_are_rejected():
    for name, length in (("mean", None), ("constant_length", None), ("token_mean", 5), ("constant_length", 0)):
        with pytest.raises(ConfigError, match=r"aggregation|length"):
            check_aggregation(name, length)
