"""KL to a frozen reference, as a term per token: three estimators of KL(policy || reference) from the policy's samples.

    r = lr - lp:    k1 = -r,    k2 = r^2 / 2,    k3 = exp(r) - r - 1

As terms that are differentiated, over the policy's own samples, k2 has the expected gradient of this KL, k3 that of
KL(reference || policy), and k1 none.

Source: http://joschu.net/blog/kl-approx.html; k3 in GRPO, https://arxiv.org/abs/2402.03300, equation 4. Left out: KL as
a part of the reward.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, final

from textgrad_rl_graphs.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor


def kl_estimate(lp_N: Tensor, lr_N: Tensor, estimator: Literal["k1", "k2", "k3"]) -> Tensor:
    """Return the estimate at every token; (N,) to (N,).

    >>> import torch
    >>> [round(kl_estimate(torch.zeros(1), torch.ones(1), k).item(), 4) for k in ("k1", "k2", "k3")]
    [-1.0, 0.5, 0.7183]
    """
    r_N = lr_N - lp_N
    if estimator == "k1":
        return -r_N
    return r_N**2 / 2 if estimator == "k2" else r_N.expm1() - r_N


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class KL:
    """``coefficient * k``.

    Args:
        coefficient: > 0.
        estimator: ``"k1"``, ``"k2"`` or ``"k3"``.

    Raises:
        ConfigError: for values out of range.
    """

    coefficient: float
    estimator: Literal["k1", "k2", "k3"] = "k3"

    def __post_init__(self) -> None:
        """Reject what is no penalty."""
        if self.coefficient <= 0:
            raise ConfigError(f"the KL coefficient must be > 0, got {self.coefficient}; for no KL leave kl=None")
        if self.estimator not in ("k1", "k2", "k3"):
            raise ConfigError(f"the KL estimator is k1, k2 or k3, got {self.estimator!r}")
