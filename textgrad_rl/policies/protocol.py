"""What the trainer needs of a policy: a model whose weights it can update."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from textgrad_rl.methods.losses import Loss
from textgrad_rl.policies.optimizer import Optimizer
from textgrad_rl.policies.rows import Row
from textgrad_rl_graphs.model import Model


@runtime_checkable
class Policy(Model, Protocol):
    """A trainable model. What crosses this interface is names, numbers and tokens, so it can be a process border."""

    def forward_backward(
        self, rows: Sequence[Row], loss: Loss, *, old_log_probs: Sequence[Sequence[float]] | None = None
    ) -> dict[str, float]:
        """Add the gradient of the loss over the rows and return metrics; None takes the present log-probabilities."""
        ...

    def log_probs(self, rows: Sequence[Row]) -> list[list[float]]:
        """Return the log-probability of every output token of every row, without a gradient."""
        ...

    def fork(self, name: str) -> Policy:
        """Return an independent policy that starts from the present weights."""
        ...

    def optimizer_step(self, config: Optimizer) -> dict[str, float]:
        """Apply the gradient, clear it, and return ``grad_norm`` and ``learning_rate``."""
        ...

    def publish(self) -> None:
        """Let the new weights answer requests, under the next weight version."""
        ...

    def save(self, folder: Path) -> None:
        """Write weights and optimizer state."""
        ...

    def load(self, folder: Path) -> None:
        """Read back what :meth:`save` wrote."""
        ...
