"""Mismatch weights: the sampler's probabilities are not exactly the trainer's, e.g. when another engine samples.

    w = min(exp(lo - ls), most),  0 where a sequence's exp(mean of (lo - ls)) is outside [lowest, highest]

A weight without a gradient, outside of min and clip. Refinements were sampled in another context, where this ratio
says something else, so their weight is 1.

Source: truncated importance sampling, https://fengyao.notion.site/off-policy-rl; the geometric-mean mask as in
https://github.com/PrimeIntellect-ai/prime-rl. Not for greedy sampling or ``top_p < 1``: those sample from another
distribution than the one that is trained, on purpose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from textgrad_rl_graphs.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

    from textgrad_rl.methods.tokens import Tokens


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """Truncates the ratio of a token, drops sequences whose mean ratio is far from 1.

    Args:
        most: the largest weight of a token.
        lowest, highest: range of a sequence's geometric mean ratio; the defaults are ours.

    Raises:
        ConfigError: when the range does not hold 1, or no weight could reach 1.
    """

    most: float = 2.0
    lowest: float = 0.5
    highest: float = 2.0

    def __post_init__(self) -> None:
        """Reject ranges that would drop a perfect match."""
        if not 0 <= self.lowest < 1 < self.highest or self.most < 1:
            raise ConfigError(f"0 <= lowest < 1 < highest and most >= 1, please; got {self}")

    def weight(self, tokens: Tokens) -> Tensor:
        """Return what every token's term is multiplied with, (N,)."""
        ratio_N = (tokens.lo_N - tokens.ls_N).exp().clamp(max=self.most)
        return ratio_N.masked_fill(self.dropped(tokens), 0.0).masked_fill(tokens.refinement_N, 1.0)

    def dropped(self, tokens: Tokens) -> Tensor:
        """Return which tokens are in a sequence that is dropped, (N,)."""
        mean_N = tokens.row_mean(tokens.lo_N - tokens.ls_N).exp()
        return ((mean_N < self.lowest) | (mean_N > self.highest)) & ~tokens.refinement_N

    def truncated(self, tokens: Tokens) -> Tensor:
        """Return which tokens have a larger ratio than ``most``, (N,)."""
        return ((tokens.lo_N - tokens.ls_N).exp() > self.most) & ~tokens.refinement_N
