"""CISPO: the ratio is a bounded weight without a gradient, so every token keeps a gradient.

    -sg(min(rho, most)) A lp,   rho = exp(lp - lo)

Source: MiniMax-M1, https://arxiv.org/abs/2506.13585, equations 4 and 5, without a lower bound.
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
class BoundedWeight:
    """The log-likelihood weighted by the bounded ratio.

    Args:
        most: the largest weight, > 0; 4 to 8 is usual. (TRL's ``epsilon_high`` for ``loss_type="cispo"``.)

    Raises:
        ConfigError: for ``most <= 0``.
    """

    most: float = 5.0

    def __post_init__(self) -> None:
        """Reject a bound that stops everything."""
        if self.most <= 0:
            raise ConfigError(f"most must be > 0, got {self.most}")

    def __call__(self, tokens: Tokens) -> Tensor:
        weight_N = (tokens.lp_N.detach() - tokens.lo_N).exp().clamp(max=self.most)
        return -weight_N * tokens.advantage_N * tokens.lp_N

    def clipped(self, tokens: Tokens) -> Tensor:
        return (tokens.lp_N.detach() - tokens.lo_N).exp() > self.most
