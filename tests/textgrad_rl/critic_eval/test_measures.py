import random

import numpy as np
import pytest

from textgrad_rl.critic_eval.measures import auroc, brier, calibration_error, pareto_front, share
from textgrad_rl.trainer.evaluation import wilson


@pytest.mark.parametrize(
    ("right", "wrong", "area"),
    [
        ([0.9, 0.8], [0.2, 0.1], 1.0),
        ([0.1], [0.9, 0.8], 0.0),
        ([0.5, 0.5], [0.5], 0.5),
        ([0.9, 0.5], [0.5, 0.1], 0.875),  # 3 pairs won, 1 tied
        ([-3.0, 7.0], [1.0], 0.5),  # scores need no range
    ],
)
def test_auroc_counts_pairs(right, wrong, area):
    assert auroc([*right, *wrong], [True] * len(right) + [False] * len(wrong)) == area


def test_without_both_kinds_there_is_no_auroc():
    assert auroc([0.1, 0.2], [True, True]) is None
    assert auroc([], []) is None


def test_calibration_by_hand():
    # two bins: 0.2, 0.4 with one right of two (0.5 - 0.3), and 0.6, 0.8 with both right (1 - 0.7)
    scores, labels = [0.8, 0.2, 0.6, 0.4], [True, False, True, True]
    assert calibration_error(scores, labels, bins=2) == pytest.approx((2 * 0.2 + 2 * 0.3) / 4)
    assert brier(scores, labels) == pytest.approx((0.04 + 0.04 + 0.16 + 0.36) / 4)
    assert calibration_error([1.0, 1.0, 0.0], [True, False, False]) == pytest.approx(1 / 3)


def test_scores_that_are_no_probabilities_are_not_calibrated():
    assert calibration_error([0.5, 1.5], [True, False]) is None
    assert brier([-0.1], [True]) is None
    assert brier([], []) is None


def test_ties_do_not_depend_on_the_order():
    rng = random.Random(0)
    rows = [(rng.choice([0.0, 0.3, 1.0]), rng.random() < 0.5) for _ in range(101)]
    errors = {round(calibration_error(*zip(*rng.sample(rows, len(rows)), strict=True)), 12) for _ in range(5)}
    assert len(errors) == 1


@pytest.mark.parametrize("digits", [1, 15])  # with and without many ties
def test_scikit_learn_agrees(digits):
    calibration = pytest.importorskip("sklearn.calibration")
    metrics = pytest.importorskip("sklearn.metrics")
    rng = random.Random(digits)
    scores = [round(rng.random(), digits) for _ in range(200)]
    labels = [rng.random() < 0.2 + 0.5 * score for score in scores]
    assert auroc(scores, labels) == pytest.approx(metrics.roc_auc_score(labels, scores), abs=1e-12)
    assert brier(scores, labels) == pytest.approx(metrics.brier_score_loss(labels, scores), abs=1e-12)
    if digits > 1:  # distinct scores: its quantile bins have 20 members each, as ours
        right, said = calibration.calibration_curve(labels, scores, n_bins=10, strategy="quantile")
        assert calibration_error(scores, labels) == pytest.approx(float(np.mean(np.abs(right - said))), abs=1e-12)


def test_interval_of_independent_outcomes_is_wilson_s():
    found = share([True] * 8 + [False] * 2, range(10))
    assert found.mean == 0.8
    assert (found.low, found.high) == pytest.approx(wilson(8, 10))
    assert found.n == 10


def test_outcomes_of_one_question_count_once():
    each = share([True, True, False, False] * 10, [f"{number // 2}" for number in range(40)])  # pairs agree
    assert (each.low, each.high) == pytest.approx(wilson(10, 20))
    same = share([True] * 40, [number // 2 for number in range(40)])
    assert (same.low, same.high) == pytest.approx(wilson(20, 20))
    opposed = share([True, False] * 20, [number // 2 for number in range(40)])  # one of each: never below n
    assert (opposed.low, opposed.high) == pytest.approx(wilson(20, 40))


def test_nothing_has_no_share():
    assert share([], []) is None


def test_the_front_by_hand():
    costs, values = [0, 1, 1, 2, 3], [0.5, 0.7, 0.6, 0.7, 0.9]
    assert pareto_front(costs, values) == [True, True, False, False, True]
    assert pareto_front([], []) == []
    assert pareto_front([1, 1], [0.5, 0.5]) == [True, True]  # neither does better


def test_costs_within_the_noise_do_not_decide():
    costs, values = [1.0, 1.4, 1.6, 1.2], [0.9, 0.9, 0.9, 0.8]
    assert pareto_front(costs, values) == [True, False, False, False]
    assert pareto_front(costs, values, noise=1.5) == [True, True, False, False]  # a lower value at more is behind
