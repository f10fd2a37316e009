"""SAPO: a soft gate in the place of the clip.

    -A (4 / tau) sigmoid(tau (rho - 1)),   tau by the sign of A

At ``rho = 1`` its gradient is that of ``-rho A``; further away it fades smoothly, for negative advantages faster.

Source: https://arxiv.org/abs/2511.20347.
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
class SoftGate:
    """The gated surrogate.

    Args:
        positive, negative: tau for positive advantages and for all others, > 0; larger fades faster.

    Raises:
        ConfigError: for values that are not positive.
    """

    positive: float = 1.0
    negative: float = 1.05

    def __post_init__(self) -> None:
        """Reject gates that would not close."""
        if min(self.positive, self.negative) <= 0:
            raise ConfigError(f"tau must be > 0, got positive={self.positive}, negative={self.negative}")

    def __call__(self, tokens: Tokens) -> Tensor:
        import torch

        tau_N = torch.where(tokens.advantage_N > 0, self.positive, self.negative)
        rho_N = (tokens.lp_N - tokens.lo_N).exp()
        return -tokens.advantage_N * (4 / tau_N) * (tau_N * (rho_N - 1)).sigmoid()

    def clipped(self, tokens: Tokens) -> Tensor:
        import torch

        return torch.zeros_like(tokens.refinement_N)
