"""Aggregation: what a token's term weighs in the loss, given the rows of a whole optimizer step.

Every denominator is here, computed once per step, so a loss does not depend on how rows are cut into micro-batches.

Left out: TRL's ``bnpo``, a token mean of every micro-batch. Over one micro-batch it is :func:`token_mean`; over several
it depends on how they are cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum
from typing import TYPE_CHECKING, Literal, get_args

from textgrad_rl_graphs.errors import ConfigError

if TYPE_CHECKING:
    from textgrad_rl.policies.rows import Row

Aggregation = Literal["sequence_mean", "token_mean", "constant_length", "group_sum"]


def check_aggregation(name: str, length: int | None) -> None:
    """Raise ConfigError for an unknown name, or where ``length`` is missing, not positive, or of no use."""
    if name not in get_args(Aggregation):
        raise ConfigError(f"aggregation is one of {', '.join(get_args(Aggregation))}, got {name!r}")
    if (name == "constant_length") != (length is not None):
        raise ConfigError("aggregation='constant_length' and length= go together")
    if length is not None and length < 1:
        raise ConfigError(f"length must be at least 1 token, got {length}")


def aggregate(name: Aggregation, rows: Sequence[Row], length: int | None = None) -> list[float]:
    """Return the weight of every row's tokens by the aggregation's name."""
    if name == "constant_length":
        assert length is not None
        return constant_length(rows, length)
    return {"sequence_mean": sequence_mean, "token_mean": token_mean, "group_sum": group_sum}[name](rows)


def sequence_mean(rows: Sequence[Row]) -> list[float]:
    """Weight of a token: ``weight / (sum of weights * its row's length)``: mean over rows of token means.

    Source: GRPO, https://arxiv.org/abs/2402.03300, equation 3.
    """
    total = fsum(row.weight for row in rows)
    return [row.weight / (total * max(1, len(row.output_ids))) for row in rows]


def token_mean(rows: Sequence[Row]) -> list[float]:
    """Weight of a token: ``weight / sum of weight * length``: mean over all tokens of the step.

    Source: DAPO, https://arxiv.org/abs/2503.14476, equation 8.
    """
    total = fsum(row.weight * len(row.output_ids) for row in rows)
    return [row.weight / total if total else 0.0 for row in rows]


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
