"""Worked solutions of the length of GSM8K's: groups of responses to one reference, made up or from a file."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

NAMES = ("Ana", "Ben", "Chidi", "Dana", "Emil", "Farah", "Goran", "Hana", "Ivo", "Jun")
THINGS = ("eggs", "books", "tickets", "apples", "stickers", "boxes of tea", "muffins", "pencils", "bolts of fiber")
STEPS = (
    "First, {name} has {a} {thing} in the morning and buys {b} more, which makes {a} + {b} = {sum} {thing}.",
    "{name} then sells {b} of the {a} {thing} at the market, so {a} - {b} = {difference} {thing} are left.",
    "Each of the {a} {thing} costs ${b}, and therefore all of them together cost {a} * {b} = ${product}.",
    "Since this happens every day of the week, {name} needs {a} * 7 = {week} {thing} for a whole week.",
    "Half of the {thing} go to a friend, and {name} keeps {a} / 2 = {half} of them for the next day.",
)


@dataclass(frozen=True, slots=True)
class Group:
    """A reference, and responses to its question."""

    reference: str
    responses: tuple[str, ...]


def groups(count: int, samples: int, data: Path | None = None) -> list[Group]:
    """Return groups of explanations without a final answer.

    Args:
        count: of groups.
        samples: responses per group.
        data: a JSONL file with solutions as ``answer``, e.g. GSM8K's; every one stands once in the groups, so that
            lengths are as there. Made up when None.
    """
    texts = _read(data) if data is not None else _made_up(random.Random(0))
    return [Group(next(texts), tuple(next(texts) for _ in range(samples))) for _ in range(count)]


def _read(data: Path) -> Iterator[str]:
    for line in data.read_text("utf-8").splitlines():
        yield re.sub(r"<<[^<>]*>>|\s*####.*", "", json.loads(line)["answer"])


def _made_up(generator: random.Random) -> Iterator[str]:
    while True:
        yield "\n".join(_step(generator) for _ in range(generator.choice((1, 2, 2, 3, 3, 3, 4, 4, 5, 7))))


def _step(generator: random.Random) -> str:
    a, b = generator.randint(20, 900), generator.randint(2, 20)
    numbers = {"a": a, "b": b, "sum": a + b, "difference": a - b, "product": a * b, "week": a * 7, "half": a / 2}
    return generator.choice(STEPS).format(name=generator.choice(NAMES), thing=generator.choice(THINGS), **numbers)
