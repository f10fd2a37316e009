"""Figures of a program that plays every role perfectly, and Wilson's interval against published values."""

import random
from collections.abc import Sequence
from dataclasses import asdict

import pytest

from textgrad_rl.pocket import questions, texts
from textgrad_rl.pocket.card import card, figures_table
from textgrad_rl.pocket.measure import UNSEEN, Figure, measure, wilson
from textgrad_rl.pocket.misconceptions import ALL, DIFFICULTIES
from textgrad_rl.pocket.prompts import BASES, DISTRACTORS
from textgrad_rl.pocket.sampling import Request
from textgrad_rl.pocket.simulate import respond
from textgrad_rl.pocket.train import Settings

RNG_SEED = 0


def ideal(requests: Sequence[Request]) -> list[str]:
    """The world itself in place of a model."""
    rng = random.Random(RNG_SEED)
    return [answer(system, user, rng) for system, user in requests]


def answer(system: str, user: str, rng: random.Random) -> str:
    lines = [line.split(": ", 1)[1] for line in user.split("\n")]
    if system == texts.CRITIC:
        return texts.critique(questions.parse(lines[0]), lines[1])
    if system == texts.REFINER:
        keeps = lines[2].endswith(("correct", "correct."))
        return lines[1] if keeps else texts.solve(questions.parse(lines[0]))
    if system == texts.FEEDBACK:
        return texts.feedback(lines[0], lines[1:])
    if system == texts.IMPROVE:
        return texts.improve(lines[0], lines[1:])
    return respond(questions.parse(user), system, DIFFICULTIES["hard"], rng)


def test_an_ideal_model_measures_ideally() -> None:
    figures = {figure.name: figure for figure in measure(questions.held_out(300), ideal)}
    assert 0.30 < figures["solver, base prompt"].share < 0.45
    assert figures["solver + all directives"].share - figures["solver, base prompt"].share > 0.3
    for name in ("critic, verdict as a program's", "prompt feedback exact", "rewritten prompt exact"):
        assert figures[name].share == 1
    assert figures["critic, verdict right"].share > 0.92
    assert figures["refiner, wrong made right with the model's own critique"].share == 1
    assert figures["refiner, wrong made right, told that it is correct"].share == 0


def test_unseen_sentences_are_unseen() -> None:
    assert not set(UNSEEN) & {*DISTRACTORS, *BASES, *(m.directive for m in ALL)}


def test_wilson() -> None:
    """Newcombe 1998, Statistics in Medicine 17, 857: 81 of 263 gives 0.2553 to 0.3662; 0 of 20 gives 0 to 0.1611."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)


def test_card_shows_figures_and_purpose() -> None:
    figures = [Figure("solver, base prompt", 37, 100)]
    first = {**asdict(Settings()), "tokens": 16e6, "minutes": 30.0, "before": None}
    training = first | {"steps": 77, "muon": 0.01, "decay": 1.0, "before": first}
    text = card(figures, training, parameters=853_376, temperature=1.0)
    assert figures_table(figures) in text
    assert "37.0%" in text
    assert "test bed" in text
    assert "--steps 77 --rate 0.5 --decay 1 --start run1 --out run2" in text
