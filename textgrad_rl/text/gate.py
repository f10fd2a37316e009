"""The gate: a proposed prompt gets in only if it is measurably better.

Old and new text answer the same examples of the gate split with common seeds, and an exact one-sided sign test on the
pairs that differ decides: ``p = P(Binomial(wins + losses, 1/2) >= wins) <= alpha``. Ties and losers stay out. The
examples rotate from step to step, so that no prompt can fit one small set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from typing import final

from textgrad_rl_graphs.errors import ConfigError, DataError
from textgrad_rl_graphs.types import Example


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """How a proposal did: means over the examples both scored, wins and losses, p-value, and whether it got in."""

    old: float
    new: float
    wins: int
    losses: int
    p_value: float
    accepted: bool


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """How many examples, and how sure.

    Args:
        examples: pairs per proposal.
        alpha: chance that a proposal no better than the old text gets in.
    """

    examples: int = 64
    alpha: float = 0.1

    def __post_init__(self) -> None:
        """Reject gates that nothing could pass."""
        if self.examples < 1 or not 0 < self.alpha < 1:
            raise ConfigError(f"a gate needs examples >= 1 and 0 < alpha < 1, got {self.examples} and {self.alpha}")
        if 0.5**self.examples > self.alpha:
            raise ConfigError(
                f"with {self.examples} examples even a win on each has p = {0.5**self.examples:.3g} > alpha = "
                f"{self.alpha}: nothing could pass; use more examples"
            )

    def rotation(self, split: Sequence[Example], turn: int) -> list[Example]:
        """Return the examples of a turn: consecutive stretches of the split, around its end.

        Raises:
            DataError: when the split is empty, or too small for anything to pass.
        """
        if not split:
            raise DataError(
                "the gate split is empty; give the task gate examples, or gate=None to accept every proposal"
            )
        count = min(self.examples, len(split))
        if 0.5**count > self.alpha:
            raise DataError(
                f"the gate split has {count} examples, and even a win on each has p = {0.5**count:.3g} > alpha = "
                f"{self.alpha}: nothing could pass; give the task more gate examples"
            )
        return [split[(turn * count + index) % len(split)] for index in range(count)]

    def judge(self, old: Sequence[float | None], new: Sequence[float | None]) -> GateVerdict:
        """Return the verdict on paired scores; pairs with an unscored side are left out."""
        pairs = [(a, b) for a, b in zip(old, new, strict=True) if a is not None and b is not None]
        wins = sum(b > a for a, b in pairs)
        losses = sum(b < a for a, b in pairs)
        p_value = sign_test(wins, losses)
        count = max(1, len(pairs))
        means = (sum(a for a, _ in pairs) / count, sum(b for _, b in pairs) / count)
        return GateVerdict(*means, wins, losses, p_value, p_value <= self.alpha)


def sign_test(wins: int, losses: int) -> float:
    """Return the exact one-sided p-value of the sign test, 1 without any difference.

    >>> sign_test(5, 0)
    0.03125
    >>> sign_test(0, 0)
    1.0
    """
    n = wins + losses
    ways = total = comb(n, wins)
    for k in range(wins, n):
        ways = ways * (n - k) // (k + 1)  # C(n, k + 1): anew, each would cost as much as all before it
        total += ways
    return float(total / 2**n)
