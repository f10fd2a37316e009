"""GSPO: one ratio per sequence, clipped once.

    s = exp(mean over tokens of (lp - lo)),   -min(s A, clip(s, 1 - low, 1 + high) A) at every token

With a mean over the sequence's tokens this is once per sequence. The gradient of ``s`` goes through every ``lp``.

GSPO-token has the same value, and a gradient that is each token's own: ``sg(s) exp(lp - sg(lp))`` in the place of
``s``. Summed over a sequence whose tokens have one advantage, both gradients are the same.

Source: https://arxiv.org/abs/2507.18071, equations 5 and 7; GSPO-token: section 4.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from textgrad_rl.methods.clip import bound, check_range, clipped_surrogate, out_of_range

if TYPE_CHECKING:
    from torch import Tensor

    from textgrad_rl.methods.tokens import Tokens


def sequence_ratio(tokens: Tokens) -> Tensor:
    """Return ``exp(mean of (lp - lo) over the token's row)``, (N,)."""
    return tokens.row_mean(tokens.lp_N - tokens.lo_N).exp()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceClip:
    """The clipped surrogate of the sequence's ratio; belongs with ``aggregation="sequence_mean"``.

    Args:
        low, high: range below and above 1, much smaller than that of single tokens; None for no bound.
        tokenwise: the gradient is each token's own (GSPO-token), for advantages that differ within a sequence.
    """

    low: float | None = 3e-4
    high: float | None = 4e-4
    tokenwise: bool = False

    def __post_init__(self) -> None:
        """Reject ranges that hold nothing."""
        check_range(self.low, self.high)

    def __call__(self, tokens: Tokens) -> Tensor:
        ratio_N = sequence_ratio(tokens)
        if self.tokenwise:
            ratio_N = ratio_N.detach() * (tokens.lp_N - tokens.lp_N.detach()).exp()
        return clipped_surrogate(ratio_N, tokens.advantage_N, bound(self.low), bound(self.high))

    def clipped(self, tokens: Tokens) -> Tensor:
        return out_of_range(sequence_ratio(tokens).detach(), tokens.advantage_N, bound(self.low), bound(self.high))
