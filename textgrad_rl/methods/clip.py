"""The clipped surrogate of PPO and GRPO, per token; also with a wider upper bound (DAPO) and with a dual clip."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, final

from textgrad_rl_graphs.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

    from textgrad_rl.methods.tokens import Tokens


def clipped_surrogate(rho_N: Tensor, advantage_N: Tensor, low: float, high: float, dual: float = inf) -> Tensor:
    r"""Return ``-min(rho A, clip(rho, 1 - low, 1 + high) A)``, for ``A < 0`` at most ``-dual A``; (N,) to (N,).

    Source: PPO, https://arxiv.org/abs/1707.06347, equation 7; per token as in GRPO,
    https://arxiv.org/abs/2402.03300, equation 3; ``high > low`` as in DAPO, https://arxiv.org/abs/2503.14476; the
    dual clip, https://arxiv.org/abs/1912.09729, equation 5.

    >>> import torch
    >>> clipped_surrogate(torch.tensor([1.5, 0.5]), torch.ones(2), 0.2, 0.2)
    tensor([-1.2000, -0.5000])
    >>> clipped_surrogate(torch.tensor([9.0]), -torch.ones(1), 0.2, 0.2, dual=3.0)
    tensor([3.])
    """
    import torch

    loss_N = -torch.minimum(rho_N * advantage_N, rho_N.clamp(1 - low, 1 + high) * advantage_N)
    if dual == inf:
        return loss_N
    return torch.where(advantage_N < 0, torch.minimum(loss_N, -dual * advantage_N), loss_N)


def out_of_range(rho_N: Tensor, advantage_N: Tensor, low: float, high: float, dual: float = inf) -> Tensor:
    """Return where the surrogate has no gradient because the ratio has left its range, (N,)."""
    return (advantage_N > 0) & (rho_N > 1 + high) | (advantage_N < 0) & ((rho_N < 1 - low) | (rho_N > dual))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """The clipped surrogate with ``rho = exp(lp - lo)``.

    Args:
        low, high: range below and above 1; None for no bound.
        dual: bound on the ratio where the advantage is negative, > 1, usually 3; None for none.

    Raises:
        ConfigError: for values out of range.
    """

    low: float | None = 0.2
    high: float | None = 0.2
    dual: float | None = None

    def __post_init__(self) -> None:
        """Reject ranges that hold nothing."""
        check_range(self.low, self.high)
        if self.dual is not None and self.dual <= 1 + (self.high or 0):
            raise ConfigError(f"dual must be above 1 + high, got {self.dual}")

    def __call__(self, tokens: Tokens) -> Tensor:
        return clipped_surrogate((tokens.lp_N - tokens.lo_N).exp(), tokens.advantage_N, *self._bounds())

    def clipped(self, tokens: Tokens) -> Tensor:
        return out_of_range((tokens.lp_N.detach() - tokens.lo_N).exp(), tokens.advantage_N, *self._bounds())

    def _bounds(self) -> tuple[float, float, float]:
        return bound(self.low), bound(self.high), bound(self.dual)


def bound(value: float | None) -> float:
    """Return the value, infinity for None."""
    return inf if value is None else value


def check_range(low: float | None, high: float | None) -> None:
    """Raise ConfigError for a clip range that is negative."""
    if bound(low) < 0 or bound(high) < 0:
        raise ConfigError(f"clip ranges must be >= 0 or None, got low={low}, high={high}")
