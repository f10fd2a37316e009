import re
from itertools import product

import pytest

from textgrad_rl.text.gate import Gate, sign_test
from textgrad_rl_graphs.errors import ConfigError, DataError
from textgrad_rl_graphs.types import Example

SPLIT = [Example({"question": str(number)}) for number in range(10)]


@pytest.mark.parametrize("n", range(8))
def test_the_sign_test_counts_all_outcomes(n):
    outcomes = [sum(signs) for signs in product((0, 1), repeat=n)]
    for wins in range(n + 1):
        assert sign_test(wins, n - wins) == sum(outcome >= wins for outcome in outcomes) / 2**n


def test_the_sign_test_stays_exact_for_many_pairs():
    assert sign_test(600, 400) == pytest.approx(1.36e-10, rel=1e-2)  # normal approximation with continuity: z = 6.29
    assert sign_test(5000, 5000) > 0.5


def test_a_better_prompt_gets_in_and_ties_and_losers_stay_out():
    gate = Gate(examples=8, alpha=0.1)
    better = gate.judge([0, 0, 0, 0, 1], [1, 1, 1, 1, 1])
    assert (better.wins, better.losses, better.p_value, better.accepted) == (4, 0, 0.0625, True)
    assert (better.old, better.new) == (0.2, 1.0)
    assert not gate.judge([1, 1, 0, 0], [1, 1, 0, 0]).accepted
    assert not gate.judge([1, 1, 1, 1], [0, 0, 0, 0]).accepted
    assert not gate.judge([0, 0, 0], [1, 1, 1]).accepted  # 1/8 is not sure enough
    assert Gate(examples=8, alpha=0.125).judge([0, 0, 0], [1, 1, 1]).accepted  # p = alpha is


def test_a_few_large_gains_do_not_outvote_many_small_losses():
    assert not Gate(examples=8).judge([0.0] * 8, [9.0, 9.0, *[-0.1] * 6]).accepted


def test_pairs_with_an_unscored_side_are_left_out_of_test_and_means():
    verdict = Gate(examples=8).judge([0, None, 0, 0, 0, 0], [1, 1, None, 1, 1, 1])
    assert (verdict.wins, verdict.losses, verdict.old, verdict.new, verdict.accepted) == (4, 0, 0.0, 1.0, True)
    nothing = Gate(examples=8).judge([None, None], [1, 1])
    assert (nothing.wins, nothing.losses, nothing.p_value, nothing.accepted) == (0, 0, 1.0, False)


@pytest.mark.parametrize("count", [4, 7, 10, 64])
def test_the_rotation_covers_the_split_evenly(count):
    gate = Gate(examples=count)
    size = min(count, 10)
    turns = [gate.rotation(SPLIT, turn) for turn in range(10)]
    assert all(len({item.key for item in turn}) == size for turn in turns)  # no example twice in a turn
    seen = [item.key for turn in turns for item in turn]
    assert {seen.count(item.key) for item in SPLIT} == {size}
    assert gate.rotation(SPLIT, 3) == turns[3]
    if 2 * size <= 10:  # a stretch of its own for every turn
        assert not {item.key for item in turns[0]} & {item.key for item in turns[1]}


def test_gates_that_nothing_could_pass_are_rejected():
    with pytest.raises(ConfigError, match=r"with 3 examples even a win on each has p = 0\.125 > alpha = 0\.1"):
        Gate(examples=3)
    Gate(examples=4)
    for examples, alpha in ((0, 0.1), (64, 0.0), (64, 1.0), (64, -0.1)):
        with pytest.raises(ConfigError, match=re.escape("examples >= 1 and 0 < alpha < 1")):
            Gate(examples=examples, alpha=alpha)


def test_a_split_on_which_nothing_could_pass_is_an_error():
    with pytest.raises(DataError, match="gate split is empty"):
        Gate().rotation([], 0)
    with pytest.raises(DataError, match=r"3 examples, and even a win on each has p = 0\.125 > alpha = 0\.1"):
        Gate().rotation(SPLIT[:3], 0)
    assert Gate().rotation(SPLIT[:4], 0) == SPLIT[:4]
