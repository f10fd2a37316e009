"""What moves a policy's weights, step by step: masters, the bound on the norm, the optimizer, its schedule.

There is no random state to keep: sampling is seeded per request and training draws nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, final

from textgrad_rl.policies.master_weights import MasterWeights, needs_master
from textgrad_rl.policies.optimizer import Optimizer, configure, make
from textgrad_rl_graphs.errors import ConfigError, ModelError, RecordsError

if TYPE_CHECKING:
    from torch import Tensor


@final
class Updater:
    """An optimizer that is made at its first step, and the count of its steps.

    Args:
        weights: what is trained; narrower types than float32 get masters.
        state: of an earlier one, as :meth:`state` returned it.

    Raises:
        RecordsError: for a state of other weights.
    """

    def __init__(self, weights: Iterable[Tensor], state: dict[str, Any] | None = None) -> None:
        """Check the state; it is used at the first step, when the optimizer is known."""
        self._weights = list(weights)
        self._masters: MasterWeights | None = None
        self._optimizer: Any = None
        self._factory = ""
        self._saved = state
        self.steps = 0
        if state is not None:
            self._check(state)
            self.steps = int(state["steps"])

    def step(self, config: Optimizer) -> dict[str, float]:
        """Move the weights along their gradients.

        Returns:
            ``grad_norm`` before it was bounded, ``learning_rate``.

        Raises:
            ModelError: for a gradient that is not finite; nothing has moved then.
            ConfigError: for another optimizer than that of the steps before.
        """
        import torch

        masters, optimizer = self._prepare(config)
        masters.take_gradients()
        norm = float(torch.nn.utils.clip_grad_norm_(masters.parameters, config.max_grad_norm))
        if not math.isfinite(norm):
            masters.drop_gradients()
            raise ModelError(f"the gradient is not finite (norm {norm}); weights are as before")
        learning_rate = configure(optimizer, config, self.steps)
        optimizer.step()
        masters.give_weights()
        self.steps += 1
        return {"grad_norm": norm, "learning_rate": learning_rate}

    def state(self) -> dict[str, Any] | None:
        """Return what has to be kept to go on: names, numbers and tensors; None before the first step."""
        if self._optimizer is None or self._masters is None:
            return self._saved
        return {
            "factory": self._factory,
            "steps": self.steps,
            "optimizer": self._optimizer.state_dict(),
            "masters": self._masters.copies,
        }

    def _prepare(self, config: Optimizer) -> tuple[MasterWeights, Any]:
        """Return masters and optimizer, made or restored at the first step."""
        import torch

        before = self._factory or (self._saved or {}).get("factory", config.factory)
        if before != config.factory:
            raise ConfigError(
                f"these weights were moved by {before} so far, whose state {config.factory} cannot take over; a policy "
                "loaded from the saved weights (load_policy, fork) starts with a new optimizer"
            )
        if self._masters is None or self._optimizer is None:
            masters = MasterWeights(self._weights)
            optimizer = make(config, masters.parameters)
            if self._saved is not None:
                optimizer.load_state_dict(self._saved["optimizer"])
                with torch.no_grad():
                    for copy, saved in zip(masters.copies, self._saved["masters"], strict=True):
                        copy.copy_(saved)
            self._factory = str(config.factory)
            self._masters, self._optimizer, self._saved = masters, optimizer, None
        return self._masters, self._optimizer

    def _check(self, state: dict[str, Any]) -> None:
        """Refuse a state of other weights now, rather than after a rollout was paid for."""
        narrow = [weight.shape for weight in self._weights if needs_master(weight)]
        known = sum(len(group["params"]) for group in state["optimizer"]["param_groups"])
        if known != len(self._weights) or [copy.shape for copy in state["masters"]] != narrow:
            raise RecordsError(
                f"the optimizer's state is of {known} weights, {len(state['masters'])} of them with float32 masters; "
                f"here are {len(self._weights)}, {len(narrow)} of them narrower than float32"
            )
