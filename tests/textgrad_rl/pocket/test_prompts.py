"""Prompts of the training text: exactly the directives asked for, among other sentences."""

import random

import pytest

from textgrad_rl.pocket.misconceptions import ALL, BORROW, CARRY, directed
from textgrad_rl.pocket.prompts import draw_directives, draw_prompt, random_sentence
from textgrad_rl.pocket.texts import SOLVER


@pytest.mark.parametrize("directives", [(), (CARRY,), (BORROW, CARRY), ALL])
def test_prompts_hold_exactly_their_directives(directives: tuple[object, ...]) -> None:
    rng = random.Random(0)
    for _ in range(300):
        assert directed(draw_prompt(rng, directives)) == set(directives)  # type: ignore[arg-type]


def test_most_prompts_begin_with_the_base() -> None:
    rng = random.Random(0)
    drawn = [draw_prompt(rng, draw_directives(rng)) for _ in range(2000)]
    assert 0.6 < sum(prompt.startswith(SOLVER) for prompt in drawn) / 2000 < 0.9
    assert all("\n" not in prompt and "  " not in prompt for prompt in drawn)


def test_sentences_are_made_up_afresh() -> None:
    rng = random.Random(0)
    drawn = {random_sentence(rng) for _ in range(500)}
    assert len(drawn) > 480
    assert all(sentence[-1] in ".!?:" for sentence in drawn)
