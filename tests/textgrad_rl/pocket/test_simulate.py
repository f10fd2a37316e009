"""The ideal solver: right without misconceptions, wrong with a slip, helped by its directives."""

import random

from textgrad_rl.pocket import questions, texts
from textgrad_rl.pocket.misconceptions import ALL, DIFFICULTIES
from textgrad_rl.pocket.simulate import respond

HARD = DIFFICULTIES["hard"]


def share(prompt: str, scale: float = 1.0, *, slips: bool = False) -> float:
    rng = random.Random(0)
    drawn = [questions.draw(rng) for _ in range(1500)]
    answers = [texts.extract_answer(respond(q, prompt, HARD, rng, scale=scale, slips=slips)) for q in drawn]
    return sum(answer == q.answer for answer, q in zip(answers, drawn, strict=True)) / len(drawn)


def test_no_misconceptions_no_errors() -> None:
    assert share("", scale=0.0) == 1.0


def test_directives_help_and_add_up() -> None:
    base, every = share(texts.SOLVER), share(" ".join(m.directive for m in ALL))
    assert 0.30 < base < 0.45
    assert every > base + 0.35
    assert all(base < share(m.directive) + 0.02 < every for m in ALL)


def test_a_slip_spoils_the_answer() -> None:
    assert share("", scale=0.0, slips=True) == 0.0
