"""Policy shaping: rare tokens of a good refinement teach more than likely ones.

    -f A,   f(p) = p / (p + gamma),   p = exp(lp)

Source: LUFFY, https://arxiv.org/abs/2504.14945; Critique-GRPO, https://arxiv.org/abs/2506.03106.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, final

from textgrad_rl.methods.clip import bound, check_range, clipped_surrogate, out_of_range
from textgrad_rl_graphs.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

    from textgrad_rl.methods.tokens import Tokens


def shaped(lp_N: Tensor, advantage_N: Tensor, gamma: float, low: float = inf, high: float = inf) -> Tensor:
    r"""Return ``-min(f A, clip(f, 1 - low, 1 + high) A)``, ``f(p) = p / (p + gamma)``, ``p = exp(lp)``; (N,) to (N,).

    Its gradient is ``-Psi(p) A d lp`` with ``Psi(p) = gamma p / (p + gamma)^2``: largest (1/4) at p = gamma. No old
    log-probability enters. As f < 1, clipping only ever acts on negative advantages, where it stops the gradient of
    tokens with f < 1 - low.

    >>> import torch
    >>> lp = torch.log(torch.tensor([0.1])).requires_grad_()
    >>> shaped(lp, torch.ones(1), 0.1).sum().backward()
    >>> round(-lp.grad.item(), 4)
    0.25
    """
    return clipped_surrogate(shape(lp_N, gamma), advantage_N, low, high)


def shape(lp_N: Tensor, gamma: float) -> Tensor:
    """Return ``f = p / (p + gamma)``."""
    p_N = lp_N.exp()
    return p_N / (p_N + gamma)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Shaped:
    """The shaped term.

    Args:
        gamma: > 0; smaller favours rarer tokens.
        low, high: clip range of f below and above 1; None for no bound.

    Raises:
        ConfigError: for values out of range.
    """

    gamma: float = 0.1
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        """Reject shapes that are none."""
        check_range(self.low, self.high)
        if self.gamma <= 0:
            raise ConfigError(f"gamma must be > 0, got {self.gamma}")

    def __call__(self, tokens: Tokens) -> Tensor:
        return shaped(tokens.lp_N, tokens.advantage_N, self.gamma, bound(self.low), bound(self.high))

    def clipped(self, tokens: Tokens) -> Tensor:
        f_N = shape(tokens.lp_N.detach(), self.gamma)
        return out_of_range(f_N, tokens.advantage_N, bound(self.low), bound(self.high))
