"""An update: what a batch of rows does to the weights of a policy, in one optimizer step or several.

    rows -> mini-batches -> (gradient, optimizer step) of each -> publish

Left out: several passes over a batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from textgrad_rl.methods.losses import Loss
from textgrad_rl.methods.method import Method
from textgrad_rl.methods.mini_batches import mini_batches
from textgrad_rl.policies.protocol import Policy
from textgrad_rl.policies.rows import Row

_COUNTS = ("rows", "skipped_rows", "too_long_rows", "tokens")


def update(policy: Policy, rows: Sequence[Row], method: Method, *, seed: int) -> dict[str, float]:
    """Move the weights by a batch of rows and publish them once; without anything to learn nothing moves.

    The ratio of every mini-batch is that to the weights at batch start, ``rho = exp(lp - lo)``: 1 for the first
    mini-batch, so a single one needs no second forward pass for ``lo``.

    Args:
        policy: changed in place.
        rows: of the policy.
        method: loss, optimizer, and how many optimizer steps.
        seed: of the order of the groups, where there are several mini-batches.

    Returns:
        ``rows``, and ``live_rows`` that the terms of the loss can learn from; where weights moved, ``updates`` and what
        ``forward_backward`` and ``optimizer_step`` return: sums of counts, means over updates of all else.
    """
    parts = [part for part in mini_batches(rows, method.updates, seed) if any(_trained(method.loss, part))]
    # Of all mini-batches before the first step, which moves the weights.
    old = [None, *(_at_start(policy, method.loss, part) for part in parts[1:])]
    found: list[dict[str, float]] = []
    for part, old_log_probs in zip(parts, old, strict=False):
        metrics = policy.forward_backward(part, method.loss, old_log_probs=old_log_probs)
        found.append({**metrics, **policy.optimizer_step(method.optimizer)})
    live = sum(map(bool, method.loss.row_weights(rows)))
    if not found:
        return {"rows": len(rows), "live_rows": live}
    policy.publish()
    metrics = _joined(found)
    metrics["skipped_rows"] = metrics.get("skipped_rows", 0.0) + len(rows) - sum(map(len, parts))
    return {**metrics, "rows": len(rows), "live_rows": live, "updates": len(found)}


def _trained(loss: Loss, rows: Sequence[Row]) -> list[bool]:
    """Return which rows have a gradient."""
    return [
        bool(weight or bonus) for weight, bonus in zip(loss.row_weights(rows), loss.entropy_weights(rows), strict=True)
    ]


def _at_start(policy: Policy, loss: Loss, rows: Sequence[Row]) -> list[list[float]]:
    """Return the log-probabilities of rows under the present weights; none of those that nobody reads."""
    trained = _trained(loss, rows)
    known = iter(policy.log_probs([row for row, used in zip(rows, trained, strict=True) if used]))
    return [next(known) if used else [] for used in trained]


def _joined(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the sum of every count and the mean of everything else, over the updates that have it."""
    values: dict[str, list[float]] = {}
    for metrics in found:
        for name, value in metrics.items():
            values.setdefault(name, []).append(value)
    return {name: sum(each) if name in _COUNTS else fmean(each) for name, each in values.items()}
