"""Losses of the GRPO family as pure functions: terms per token, weights per row.

A loss is ``sum over rows of row weight * sum over tokens of term``. Row weights hold every denominator and are
computed once over all rows of an optimizer step, so the result does not depend on how rows are cut into micro-batches.
Tensors are flat over the trained tokens of a batch: ``_N`` tokens.

Left out so far: GSPO, CISPO, SAPO, KL and entropy terms, mismatch weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum, inf
from typing import TYPE_CHECKING, Literal, Protocol, final

from textgrad_rl_graphs.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

    from textgrad_rl.policies.rows import Row

Aggregation = Literal["sequence_mean", "group_sum", "constant_length"]


class Loss(Protocol):
    """What a policy needs to know of a loss."""

    def row_weights(self, rows: Sequence[Row]) -> list[float]:
        """Return what every token term of a row is multiplied with; the sum over all rows is the loss."""
        ...

    def token_terms(self, lp_N: Tensor, lo_N: Tensor, advantage_N: Tensor, refinement_N: Tensor) -> Tensor:
        """Return the loss term of every token, (N,).

        Args:
            lp_N: log-probabilities under the present weights.
            lo_N: the same at batch start.
            advantage_N: of the token's row.
            refinement_N: True for tokens of refinements.
        """
        ...


def clipped_surrogate(lp_N: Tensor, lo_N: Tensor, advantage_N: Tensor, low: float, high: float) -> Tensor:
    r"""Return ``-min(rho A, clip(rho, 1 - low, 1 + high) A)``, ``rho = exp(lp - lo)``; (N,) to (N,).

    Source: PPO, https://arxiv.org/abs/1707.06347, equation 7; per token as in GRPO,
    https://arxiv.org/abs/2402.03300, equation 3.

    >>> import torch
    >>> lp = torch.log(torch.tensor([1.5, 0.5])); one = torch.ones(2)
    >>> clipped_surrogate(lp, torch.zeros(2), one, 0.2, 0.2)
    tensor([-1.2000, -0.5000])
    """
    import torch

    rho_N = torch.exp(lp_N - lo_N)
    return -torch.minimum(rho_N * advantage_N, rho_N.clamp(1 - low, 1 + high) * advantage_N)


def shaped(lp_N: Tensor, advantage_N: Tensor, gamma: float, low: float = inf, high: float = inf) -> Tensor:
    r"""Return ``-min(f A, clip(f, 1 - low, 1 + high) A)``, ``f(p) = p / (p + gamma)``, ``p = exp(lp)``; (N,) to (N,).

    Its gradient is ``-Psi(p) A d lp`` with ``Psi(p) = gamma p / (p + gamma)^2``: largest (1/4) at p = gamma, so that
    rare tokens of a refinement teach more than likely ones. No old log-probability enters. As f < 1, clipping only
    ever acts on negative advantages, where it stops the gradient of tokens with f < 1 - low.

    Source: LUFFY, https://arxiv.org/abs/2504.14945; Critique-GRPO, https://arxiv.org/abs/2506.03106.

    >>> import torch
    >>> lp = torch.log(torch.tensor([0.1])).requires_grad_()
    >>> shaped(lp, torch.ones(1), 0.1).sum().backward()
    >>> round(-lp.grad.item(), 4)
    0.25
    """
    import torch

    p_N = torch.exp(lp_N)
    f_N = p_N / (p_N + gamma)
    return -torch.minimum(f_N * advantage_N, f_N.clamp(1 - low, 1 + high) * advantage_N)


def sequence_mean(rows: Sequence[Row]) -> list[float]:
    """Weight of a token: ``weight / (sum of weights * its row's length)``: mean over rows of token means (GRPO)."""
    total = fsum(row.weight for row in rows)
    return [row.weight / (total * len(row.output_ids)) for row in rows]


def constant_length(rows: Sequence[Row], length: int) -> list[float]:
    """Weight of a token: ``weight / (sum of weights * length)``: no bias towards short answers.

    Source: Dr. GRPO, https://arxiv.org/abs/2503.20783, section 3.1.
    """
    total = fsum(row.weight for row in rows)
    return [row.weight / (total * length) for row in rows]


def group_sum(rows: Sequence[Row]) -> list[float]:
    """Weight of a token: ``weight / (groups * weights of its kind in its group)``; no length normalisation.

    The ``1/n`` and ``1/k`` of Critique-GRPO, https://arxiv.org/abs/2506.03106: one refinement weighs as much as all
    initial responses of its group together.
    """
    weights: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        weights.setdefault((row.group, row.kind), []).append(row.weight)
    sizes = {key: fsum(values) for key, values in weights.items()}
    groups = len({row.group for row in rows})
    return [row.weight / (groups * sizes[row.group, row.kind]) for row in rows]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyLoss:
    """Clipped surrogate on samples, shaped term on refinements, one aggregation; names and numbers only.

    Args:
        clip_low, clip_high: clip range below and above 1; None for no clipping.
        gamma: policy shaping of refinements, > 0; None trains them by the surrogate as samples.
        clip_refinements: whether the shaped term is clipped too.
        aggregation: which of the three row weights.
        length: tokens, for ``"constant_length"``.
    """

    clip_low: float | None = 0.2
    clip_high: float | None = 0.2
    gamma: float | None = None
    clip_refinements: bool = False
    aggregation: Aggregation = "sequence_mean"
    length: int | None = None

    def __post_init__(self) -> None:
        """Reject combinations that cannot be computed."""
        if self.aggregation not in ("sequence_mean", "group_sum", "constant_length"):
            raise ConfigError(f"aggregation is sequence_mean, group_sum or constant_length, got {self.aggregation!r}")
        if (self.aggregation == "constant_length") != (self.length is not None):
            raise ConfigError("aggregation='constant_length' and length= go together")
        if self.gamma is not None and self.gamma <= 0:
            raise ConfigError(f"gamma must be > 0 or None, got {self.gamma}")

    def row_weights(self, rows: Sequence[Row]) -> list[float]:
        """Return the weight of every row's tokens; see the aggregation's function."""
        if self.aggregation == "constant_length":
            assert self.length is not None
            return constant_length(rows, self.length)
        return group_sum(rows) if self.aggregation == "group_sum" else sequence_mean(rows)

    def token_terms(self, lp_N: Tensor, lo_N: Tensor, advantage_N: Tensor, refinement_N: Tensor) -> Tensor:
        """Return the shaped term where ``refinement_N``, the surrogate elsewhere, (N,)."""
        import torch

        low = inf if self.clip_low is None else self.clip_low
        high = inf if self.clip_high is None else self.clip_high
        terms_N = clipped_surrogate(lp_N, lo_N, advantage_N, low, high)
        if self.gamma is None:
            return terms_N
        limits = (low, high) if self.clip_refinements else (inf, inf)
        return torch.where(refinement_N, shaped(lp_N, advantage_N, self.gamma, *limits), terms_N)
