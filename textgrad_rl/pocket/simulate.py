"""The ideal solver: what a response looks like that follows its prompt and the difficulty exactly."""

import random

from textgrad_rl.pocket.arithmetic import Step, work
from textgrad_rl.pocket.misconceptions import Difficulty, directed, forgotten
from textgrad_rl.pocket.questions import Question
from textgrad_rl.pocket.texts import solution


def respond(
    question: Question,
    prompt: str,
    difficulty: Difficulty,
    rng: random.Random,
    *,
    scale: float = 1.0,
    slips: bool = False,
) -> str:
    """One sampled response to `question` under `prompt`.

    Args:
        question: the question.
        prompt: its directives lower the rate of the misconceptions they speak to.
        difficulty: the misconceptions' rates.
        rng: source of every draw.
        scale: factor on all rates; 0 is free of misconceptions.
        slips: one random slip besides: in a column, in a copied term or in the answer.
    """
    directives = directed(prompt)
    where = rng.randrange(len(question.rest) + 1) if slips else -1
    total, steps = question.first, list[Step]()
    for place, (operator, term) in enumerate(question.rest):
        forgets = forgotten(difficulty, directives, rng, scale=scale)
        slipping = place == where
        if slipping and rng.random() < 0.25:
            term, slipping = (term + rng.randint(1, 9)) % 100, False
        steps.append(work(total, operator, term, forgets, slip=rng if slipping else None))
        total = steps[-1].value
    return solution(steps, total + rng.choice([-10, -1, 1, 10]) if where == len(question.rest) else total)
