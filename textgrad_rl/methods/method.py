"""A method for training weights: names and numbers that say which rows are made, which loss, which optimizer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final, get_args

from textgrad_rl.methods.advantages import Imitate
from textgrad_rl.methods.estimators import Baseline, Scale
from textgrad_rl.methods.losses import PolicyLoss
from textgrad_rl.policies.optimizer import Optimizer
from textgrad_rl_graphs.errors import ConfigError

Imitated = Literal[Imitate, "critiques"]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A composition: advantage, loss (policy term, mismatch weight, aggregation) and optimizer.

    Args:
        scale: what ``R - mean(R)`` is divided by: ``"none"``, ``"std"``, ``"batch_std"`` or ``"leave_one_out"``.
        baseline: the mean is that of the ``"group"``, or of its ``"samples"`` without refinements.
        imitate: for supervised methods, what gets the advantage 1 in place of the above: right ``"samples"``, right
            ``"refinements"``, ``"both"``, or the critic's ``"critiques"``; None for reinforcement learning.
        experts: whether reference solutions join their groups as refinements do; see
            :mod:`textgrad_rl.methods.experts`.
        loss: terms and aggregation.
        updates: optimizer steps per batch: its groups are split into so many mini-batches, in a seeded order, each with
            denominators of its own. From the second on the ratio to the weights at batch start is not 1.
        optimizer: how weights move.

    Raises:
        ConfigError: for unknown names, or no update at all.

    >>> from textgrad_rl.methods.gspo import SequenceClip
    >>> Method(loss=PolicyLoss(term=SequenceClip())).loss.aggregation
    'sequence_mean'
    """

    scale: Scale = "std"
    baseline: Baseline = "group"
    imitate: Imitated | None = None
    experts: bool = False
    loss: PolicyLoss = PolicyLoss()  # noqa: RUF009  # frozen, so sharing it is safe
    updates: int = 1
    optimizer: Optimizer = Optimizer()  # noqa: RUF009

    def __post_init__(self) -> None:
        """Reject unknown names."""
        for name, known in (("scale", Scale), ("baseline", Baseline), ("imitate", Imitated)):
            value = getattr(self, name)
            if value is not None and value not in get_args(known):
                raise ConfigError(f"{name} is one of {', '.join(get_args(known))}, got {value!r}")
        if self.updates < 1:
            raise ConfigError(f"updates must be at least 1, got {self.updates}; weights=None freezes them")
