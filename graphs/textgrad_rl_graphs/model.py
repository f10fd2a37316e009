"""What a model is: one asynchronous method, a dialect, and a flag that says whether it can be trained.

Backends live in ``textgrad_rl.models`` and ``textgrad_rl.policies``; this file is the contract between them and the
graph. When a request leaves is the model's business: servers get it at once, a local model gathers what is pending.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from textgrad_rl_graphs.types import Completion, Dialect, Request


@runtime_checkable
class Model(Protocol):
    """A model answers requests.

    Attributes:
        name: shown in records and errors.
        dialect: ``"json"`` for models that follow schemas, ``"plain"`` for small local ones.
        trainable: True for a policy, whose weights are parameters of the graph.
        weight_version: number of weight updates published so far; 0 for frozen models.
    """

    @property
    def name(self) -> str: ...
    @property
    def dialect(self) -> Dialect: ...
    @property
    def trainable(self) -> bool: ...
    @property
    def weight_version(self) -> int: ...

    async def complete(self, request: Request) -> Completion:
        """Answer one request; concurrent callers may be served in one batch.

        Raises:
            ModelError: when there is no answer; ``retryable`` says whether trying again can help.
        """
        ...
