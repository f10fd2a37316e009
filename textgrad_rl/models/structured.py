"""Structured outputs where a server can, plain ones where it cannot.

A server that answers 400 or 422 to a request with a ``response_format`` is asked once more without it. If that helps,
this schema goes without from then on: whoever asks validates the answer anyway.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Awaitable, Callable
from typing import Any, final

from textgrad_rl.models.retry import BadRequestError
from textgrad_rl_graphs.types import Completion


@final
class StructuredOutputs:
    """Remembers which schemas a server refuses."""

    def __init__(self) -> None:
        """Start with trust."""
        self._refused: set[str] = set()

    async def ask(self, body: dict[str, Any], attempt: Callable[[dict[str, Any]], Awaitable[Completion]]) -> Completion:
        """Return what an attempt brings, with the ``response_format`` of the body if the server takes it.

        Raises:
            BadRequestError: in the words the server had for the whole body.
        """
        if "response_format" not in body:
            return await attempt(body)
        schema = json.dumps(body["response_format"], sort_keys=True)
        plain = {key: value for key, value in body.items() if key != "response_format"}
        if schema in self._refused:
            return await attempt(plain)
        try:
            return await attempt(body)
        except BadRequestError as refusal:
            try:
                completion = await attempt(plain)
            except BadRequestError:
                raise refusal from None  # the schema was not what it minds
            if schema not in self._refused:
                self._refused.add(schema)
                warnings.warn(f"asking without a schema from now on, because {refusal}", stacklevel=2)
            return completion
