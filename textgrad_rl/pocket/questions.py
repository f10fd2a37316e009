"""The questions: reasoning-gym's `chain_sum`, its text and distribution, drawn without the library for speed.

Left out: scoring; a question's answer is an exact integer.
"""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from textgrad_rl.tasks.splits import CHAIN_SUM_SPLITS, split_of

CONFIG: dict[str, int] = {"min_terms": 2, "max_terms": 5, "min_digits": 1, "max_digits": 2}
"""Settings of `reasoning_gym.create_dataset("chain_sum", ...)` that give the same questions."""

_PREFIX = "State the final answer to the following arithmetic problem: "
_EXPRESSION = re.compile(re.escape(_PREFIX) + r"(\d+(?: [+-] \d+)+) =")


@dataclass(frozen=True)
class Question:
    """A chain of additions and subtractions: the first term, then (operator, term) pairs."""

    first: int
    rest: tuple[tuple[str, int], ...]

    @property
    def answer(self) -> int:
        """The chain's exact value."""
        return self.first + sum(term if operator == "+" else -term for operator, term in self.rest)

    @property
    def text(self) -> str:
        """The question as reasoning-gym words it."""
        return f"{_PREFIX}{self.first}" + "".join(f" {operator} {term}" for operator, term in self.rest) + " ="


def parse(text: str) -> Question:
    """Read a question's text back; raises ValueError for any other text."""
    match = _EXPRESSION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"not a chain_sum question: {text!r}")
    words = match.group(1).split(" ")
    return Question(int(words[0]), tuple((words[i], int(words[i + 1])) for i in range(1, len(words), 2)))


def draw(rng: random.Random) -> Question:
    """One question from the distribution of reasoning-gym's `chain_sum` with `CONFIG`, of any split."""
    terms = rng.randint(CONFIG["min_terms"], CONFIG["max_terms"])
    digits = rng.randint(CONFIG["min_digits"], CONFIG["max_digits"])
    low, high = (0 if digits == 1 else 10 ** (digits - 1)), 10**digits - 1
    numbers = [rng.randint(low, high) for _ in range(terms)]
    return Question(numbers[0], tuple((rng.choice("+-"), number) for number in numbers[1:]))


def draw_from(split: str, rng: random.Random) -> Question:
    """One question of one split, by rejection."""
    while True:
        question = draw(rng)
        if split_of(question.text, CHAIN_SUM_SPLITS) == split:
            return question


def held_out(count: int, *, split: str = "test", seed: int = 0) -> list[Question]:
    """The first `count` distinct questions of one split among the library's own items."""
    import reasoning_gym

    create: Callable[..., Any] = reasoning_gym.create_dataset
    items = create("chain_sum", seed=seed, size=100 * count, **CONFIG)
    found: dict[str, None] = {}
    for item in items:
        if split_of(item["question"], CHAIN_SUM_SPLITS) == split:
            found.setdefault(item["question"])
        if len(found) == count:
            return [parse(text) for text in found]
    raise ValueError(f"only {len(found)} of {count} questions found in split {split!r}")
