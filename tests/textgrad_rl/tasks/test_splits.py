"""Splits by hash: fractions are met, no item is in two, bad fractions are refused."""

from collections import Counter

import pytest

from textgrad_rl.tasks.splits import CHAIN_SUM_SPLITS, split_of


def test_fractions_are_met() -> None:
    counts = Counter(split_of(f"question {i}", CHAIN_SUM_SPLITS) for i in range(20_000))
    for name, fraction in CHAIN_SUM_SPLITS.items():
        assert counts[name] / 20_000 == pytest.approx(fraction, abs=0.015)


def test_hash_decides_and_is_stable() -> None:
    """sha256("a") starts with ca..., 0.79 of the range; sha256("b") with 3e..., 0.24."""
    assert split_of("a", {"first": 0.5, "second": 0.5}) == "second"
    assert split_of("b", {"first": 0.5, "second": 0.5}) == "first"
    assert split_of("a", {"first": 0.78, "second": 0.22}) == "second"
    assert split_of("a", {"first": 0.80, "second": 0.20}) == "first"


def test_empty_splits_stay_empty() -> None:
    assert {split_of(str(i), {"all": 1.0, "none": 0.0}) for i in range(200)} == {"all"}


@pytest.mark.parametrize("fractions", [{}, {"train": 0.9}, {"train": 1.5, "test": -0.5}, {"train": 0.7, "test": 0.7}])
def test_bad_fractions_are_refused(fractions: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="sum to 1"):
        split_of("question", fractions)
