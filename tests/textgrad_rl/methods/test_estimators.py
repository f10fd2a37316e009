from statistics import fmean, pstdev, stdev

import pytest

from textgrad_rl.methods.estimators import group_advantages

# (right initial responses of 7, refinement right, A of the refinement, of right and of wrong responses, A with std)
TABLE = [
    (0, 1, 0.875, None, -0.125, 2.475),
    (0, 0, 0.0, None, 0.0, 0.0),
    (1, 0, -0.125, 0.875, -0.125, -0.354),
    (3, 1, 0.5, 0.5, -0.5, 0.935),
    (3, 0, -0.375, 0.625, -0.375, -0.725),
    (6, 1, 0.125, 0.125, -0.875, 0.354),
    (6, 0, -0.75, 0.25, -0.75, -1.620),
    (7, 1, 0.0, 0.0, None, 0.0),
    (7, 0, -0.875, 0.125, None, -2.475),
]


@pytest.mark.parametrize(("right", "refined", "of_refinement", "of_right", "of_wrong", "with_std"), TABLE)
def test_the_advantage_table_of_critique_grpo(right, refined, of_refinement, of_right, of_wrong, with_std):
    rewards = [1.0] * right + [0.0] * (7 - right) + [float(refined)]
    *initial, last = group_advantages(rewards)
    assert last == of_refinement
    assert initial == [of_right] * right + [of_wrong] * (7 - right)
    assert group_advantages(rewards, "std", epsilon=0.0)[-1] == pytest.approx(with_std, abs=5e-4)
    assert group_advantages(rewards, "std")[-1] == pytest.approx(
        with_std, abs=2e-3
    )  # epsilon is felt in the third digit


def test_the_std_is_that_of_a_sample_not_of_a_population():
    rewards = [0.0] * 7 + [1.0]
    assert group_advantages(rewards, "std", epsilon=0.0)[-1] == pytest.approx(2.475, abs=5e-4)
    assert 0.875 / pstdev(rewards) == pytest.approx(2.646, abs=5e-4)


@pytest.mark.parametrize("scale", ["none", "std"])
@pytest.mark.parametrize("reward", [0.0, 1.0, 0.1, 1 / 3, -7.3])
def test_identical_rewards_give_exactly_zero(scale, reward):
    assert group_advantages([reward] * 3, scale) == [0.0] * 3


def test_an_empty_group_and_a_group_of_one_have_no_advantage():
    assert group_advantages([]) == []
    assert group_advantages([0.7], "std") == [0.0]


def test_a_shift_of_all_rewards_changes_nothing_and_a_scale_only_the_unnormalised():
    rewards = [0.0, 0.25, 1.0]
    plain = group_advantages(rewards)
    assert group_advantages([reward + 4 for reward in rewards]) == pytest.approx(plain)
    assert sum(plain) == pytest.approx(0, abs=1e-15)
    assert group_advantages([2 * reward for reward in rewards]) == pytest.approx([2 * value for value in plain])
    scaled = group_advantages([2 * reward for reward in rewards], "std", epsilon=0.0)
    assert scaled == pytest.approx(group_advantages(rewards, "std", epsilon=0.0))


def test_leave_one_out_compares_each_with_the_mean_of_the_others():
    rewards = [0.0, 0.25, 1.0, 0.5]
    others = [fmean(rewards[:place] + rewards[place + 1 :]) for place in range(4)]
    expected = [reward - mean for reward, mean in zip(rewards, others, strict=True)]
    assert group_advantages(rewards, "leave_one_out") == pytest.approx(expected)


def test_the_standard_deviation_of_the_batch_scales_every_group_alike():
    batch = [0.0, 1.0, 0.0, 0.0, 0.25, 0.75]
    assert group_advantages(batch[:2], "batch_std", batch=batch)[1] == pytest.approx(0.5 / (stdev(batch) + 1e-4))


def test_the_mean_may_be_that_of_the_first_ones_alone():
    assert group_advantages([0.0, 1.0, 1.0], initial=2) == [-0.5, 0.5, 0.5]
    assert group_advantages([0.0, 1.0], initial=0) == [-0.5, 0.5]  # without samples there is no other mean
