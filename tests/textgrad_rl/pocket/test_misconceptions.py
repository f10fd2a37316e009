"""Rates are met, directives are found in prompts, the difficulties are ordered."""

import random

import pytest

from textgrad_rl.pocket.misconceptions import ALL, BORROW, CARRY, DIFFICULTIES, SIGN, directed, forgotten


def test_directives_are_found_in_any_order() -> None:
    assert directed("Solve step by step. Write neatly.") == frozenset()
    assert directed("Keep the minus sign. Solve step by step. Carry the tens.") == {SIGN, CARRY}
    assert directed(" ".join(m.directive for m in ALL)) == set(ALL)


@pytest.mark.parametrize("directives", [(), (BORROW,), ALL])
def test_rates_are_met(directives: tuple[object, ...]) -> None:
    rng, difficulty = random.Random(0), DIFFICULTIES["soft"]
    drawn = [forgotten(difficulty, directives, rng) for _ in range(4000)]  # type: ignore[arg-type]
    for m in ALL:
        expected = difficulty[m].directed if m in directives else difficulty[m].without
        assert sum(m in names for names in drawn) / 4000 == pytest.approx(expected, abs=0.03)


def test_scale_zero_forgets_nothing() -> None:
    rng = random.Random(0)
    assert not any(forgotten(DIFFICULTIES["hard"], (), rng, scale=0.0) for _ in range(200))


def test_difficulties_differ_in_persistence_alone() -> None:
    soft, hard, persistent = (DIFFICULTIES[name] for name in ("soft", "hard", "persistent"))
    for m in ALL:
        assert soft[m].without < hard[m].without <= persistent[m].without <= 1
        assert soft[m].directed == hard[m].directed == persistent[m].directed
