"""The solver's systematic misconceptions: what each forgets, the directive that cures it, how often it strikes."""

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Misconception:
    """One systematic error: its name, the prompt sentence that cures it and the critic's words for it."""

    name: str
    directive: str
    phrase: str


CARRY = Misconception("carry", "Carry the tens.", "forgets the carry")
BORROW = Misconception("borrow", "Borrow when you subtract.", "forgets the borrow")
SIGN = Misconception("sign", "Keep the minus sign.", "forgets the minus sign")
ALL = (CARRY, BORROW, SIGN)


@dataclass(frozen=True)
class Rate:
    """Probability per step that a misconception strikes, without and with its directive in the prompt."""

    without: float
    directed: float


Difficulty = Mapping[Misconception, Rate]

DIFFICULTIES: Mapping[str, Difficulty] = MappingProxyType(
    {
        "soft": {CARRY: Rate(0.92, 0.08), BORROW: Rate(0.95, 0.52), SIGN: Rate(0.985, 0.08)},
        "hard": {CARRY: Rate(0.95, 0.08), BORROW: Rate(0.997, 0.52), SIGN: Rate(1.0, 0.08)},
        "persistent": {CARRY: Rate(0.998, 0.08), BORROW: Rate(0.9995, 0.52), SIGN: Rate(1.0, 0.08)},
    }
)
"""How persistent the failures are: the residual probability of doing right without a directive decides whether plain
policy gradients can find the cure by chance. Borrowing is obeyed in half of the cases, so that a prompt alone does not
saturate and the weights have work left."""


def directed(prompt: str) -> frozenset[Misconception]:
    """The misconceptions whose directive stands in `prompt`."""
    return frozenset(m for m in ALL if m.directive in prompt)


def forgotten(
    difficulty: Difficulty, directives: Collection[Misconception], rng: random.Random, *, scale: float = 1.0
) -> frozenset[Misconception]:
    """Draw what one step forgets: each misconception independently with `scale` times its rate."""
    return frozenset(m for m in ALL if rng.random() < scale * rate(difficulty[m], directed=m in directives))


def rate(rates: Rate, *, directed: bool) -> float:
    """The one of two rates that holds with or without the directive."""
    return rates.directed if directed else rates.without
