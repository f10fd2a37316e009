"""Column arithmetic written out: every token is a copy or a one-digit fact, every misconception one missing piece.

A step reads `24 - 91, flip 91-24, 11-4=7, 9-2-1=6, so -67`: columns ones first; `flip` negates the inner result,
`swap` keeps it. Left out: multiplication, and numbers written in one piece.
"""

import random
from collections.abc import Collection
from dataclasses import dataclass

from textgrad_rl.pocket.misconceptions import BORROW, CARRY, SIGN, Misconception


@dataclass(frozen=True)
class Step:
    """One step: the expression, `flip ...`, `swap ...` or nothing, the columns, and the value it arrives at."""

    expression: str
    turn: str
    columns: tuple[str, ...]
    value: int

    @property
    def text(self) -> str:
        """The step in words, without its number and without a full stop."""
        return ", ".join([self.expression, *([self.turn] if self.turn else []), *self.columns, f"so {self.value}"])


def digits(number: int, width: int) -> list[int]:
    """Decimal digits of a non-negative number, ones first, filled with zeros to `width`."""
    return [number // 10**place % 10 for place in range(width)]


def add_columns(top: int, bottom: int, forgets: Collection[Misconception] = ()) -> list[tuple[str, int]]:
    """Columns of `top + bottom`, ones first, as (left side, sum); a forgotten carry is left out of the next column."""
    width, carry, columns = max(len(str(top)), len(str(bottom))), 0, []
    for upper, lower in zip(digits(top, width), digits(bottom, width), strict=True):
        total = upper + lower + carry
        columns.append((f"{upper}+{lower}" + "+1" * carry, total))
        carry = int(total > 9 and CARRY not in forgets)
    return columns


def subtract_columns(top: int, bottom: int, forgets: Collection[Misconception] = ()) -> list[tuple[str, int]]:
    """Columns of `top - bottom` for `top >= bottom`; a forgotten borrow is left out of the next column."""
    if top < bottom:
        raise ValueError(f"{top} - {bottom} is negative")
    width, borrow, columns = len(str(top)), 0, []
    for upper, lower in zip(digits(top, width), digits(bottom, width), strict=True):
        short = upper - lower - borrow < 0
        upper += 10 * short
        columns.append((f"{upper}-{lower}" + "-1" * borrow, upper - lower - borrow))
        borrow = int(short and BORROW not in forgets)
    return columns


def assemble(results: list[int]) -> int:
    """The number whose columns came to `results`, ones first: tens are dropped in all columns but the last."""
    return sum((r if place == len(results) - 1 else r % 10) * 10**place for place, r in enumerate(results))


def plan(left: int, operator: str, right: int) -> tuple[str, int, str, int]:
    """How to work out `left operator right` with non-negative numbers: (turn, top, inner operator, bottom)."""
    size = abs(left)
    if left >= 0 and operator == "+":
        return "", left, "+", right
    if left >= 0:
        return ("", left, "-", right) if left >= right else ("flip", right, "-", left)
    if operator == "-":
        return "flip", size, "+", right
    return ("swap", right, "-", size) if right >= size else ("flip", size, "-", right)


def work(
    left: int,
    operator: str,
    right: int,
    forgets: Collection[Misconception] = (),
    *,
    slip: random.Random | None = None,
) -> Step:
    """One step of `left operator right`, wrong exactly where something is forgotten or one column slips.

    Args:
        left: the running total, of any sign.
        operator: `+` or `-`.
        right: the next term, not negative.
        forgets: the misconceptions that strike this step.
        slip: where given, one column's result is off by a random digit.
    """
    turn, top, inner, bottom = plan(left, operator, right)
    columns = (add_columns if inner == "+" else subtract_columns)(top, bottom, forgets)
    results = [result for _, result in columns]
    if slip is not None:
        place = slip.randrange(len(results))
        tens, ones = divmod(results[place], 10)
        results[place] = 10 * tens + (ones + slip.randint(1, 9)) % 10
    value = assemble(results)
    if turn == "flip" and SIGN not in forgets:
        value = -value
    texts = tuple(f"{side}={result}" for (side, _), result in zip(columns, results, strict=True))
    return Step(f"{left} {operator} {right}", turn and f"{turn} {top}{inner}{bottom}", texts, value)
