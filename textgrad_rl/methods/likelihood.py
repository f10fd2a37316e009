"""Weighted log-likelihood: no ratio, no clip.

    -A lp

With ``A = 1`` it is the negative log-likelihood of supervised training; with an advantage it is REINFORCE, and the
term of advantage-weighted regression (https://arxiv.org/abs/1910.00177) with the advantage itself as the weight, as
RLTF-SD (https://arxiv.org/abs/2602.02482) trains refinements.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from textgrad_rl_graphs.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

    from textgrad_rl.methods.tokens import Tokens


@final
@dataclass(frozen=True, slots=True)
class LogLikelihood:
    """``-A lp``."""

    def __call__(self, tokens: Tokens) -> Tensor:
        return -tokens.advantage_N * tokens.lp_N

    def clipped(self, tokens: Tokens) -> Tensor:
        import torch

        return torch.zeros_like(tokens.refinement_N)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ContextWeighted:
    """``-sg(min(most, exp(lp - ls))) A lp`` on refinements, with ``ls`` from the context the refinement was written in.

    The ratio tells how likely the refinement is without its critique; it is per token here.

    Source: ICRL, https://arxiv.org/abs/2605.15224.

    Args:
        most: the largest weight, > 0; the default is ours.

    Raises:
        ConfigError: for ``most <= 0``.
    """

    most: float = 2.0

    def __post_init__(self) -> None:
        """Reject a bound that stops everything."""
        if self.most <= 0:
            raise ConfigError(f"most must be > 0, got {self.most}")

    def __call__(self, tokens: Tokens) -> Tensor:
        weight_N = (tokens.lp_N.detach() - tokens.ls_N).exp().clamp(max=self.most)
        return -weight_N * tokens.advantage_N * tokens.lp_N

    def clipped(self, tokens: Tokens) -> Tensor:
        return (tokens.lp_N.detach() - tokens.ls_N).exp() > self.most
