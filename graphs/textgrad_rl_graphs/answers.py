"""How questions and answers are kept: a key made of content, and records that JSON can hold.

The journal, the cache and a recording are stores of such answers; they differ in where they keep them and for how long.
Left out: who asks. Keys and headers of a backend are no part of a request, so no store can hold them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

from textgrad_rl_graphs.hashing import digest
from textgrad_rl_graphs.model import Model
from textgrad_rl_graphs.types import Completion, Request, Usage


class Store(Protocol):
    """Remembers entries by key: :class:`~textgrad_rl_graphs.journal.FileJournal` for one process, the cache for all."""

    def get(self, key: str) -> Mapping[str, Any] | None:
        """Return the entry stored under a key, or None."""
        ...

    def put(self, key: str, entry: Mapping[str, Any]) -> None:
        """Store an entry; it is on its way to the disk when this returns."""
        ...


def request_key(model: Model, request: Request) -> str:
    """Return the identity of a question: model, weights, everything it reads, how it draws, and the seed."""
    sampling = request.sampling
    return digest(
        "request", model.name, model.weight_version, request.role, request.seed,
        sampling.temperature, sampling.max_tokens, sampling.top_p, sampling.stop,
        request.history_ids,
        *((message.role, message.content, *map(str, message.images)) for message in request.messages),
        *(() if request.schema is None else (json.dumps(request.schema, sort_keys=True),)),
        *(() if sampling.top_k is None else ("top_k", sampling.top_k)),
    )  # fmt: skip


def question_record(model: Model, request: Request) -> dict[str, Any]:
    """Return everything that the key depends on, to be read by people; an image is its type and content hash."""
    sampling = request.sampling
    return {
        "model": model.name,
        "weight_version": model.weight_version,
        "role": request.role,
        "seed": request.seed,
        "temperature": sampling.temperature,
        "max_tokens": sampling.max_tokens,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "stop": list(sampling.stop),
        "history_ids": list(request.history_ids),
        "messages": [
            {
                "role": item.role,
                "content": item.content,
                **({"images": [*map(str, item.images)]} if item.images else {}),
            }
            for item in request.messages
        ],
        "schema": None if request.schema is None else dict(request.schema),
    }


def answer_record(completion: Completion) -> dict[str, Any]:
    """Return a completion as JSON can hold it; :func:`read_answer` takes it back."""
    usage = completion.usage
    return {
        "text": completion.text,
        "finish_reason": completion.finish_reason,
        "usage": [usage.prompt_tokens, usage.generated_tokens, usage.calls, usage.usd],
        "prompt_ids": list(completion.prompt_ids),
        "output_ids": list(completion.output_ids),
        "logprobs": list(completion.logprobs),
        "model": completion.model,
        "weight_version": completion.weight_version,
    }


def read_answer(entry: Mapping[str, Any]) -> Completion:
    """Return the completion that :func:`answer_record` wrote down."""
    return Completion(
        text=entry["text"],
        finish_reason=entry["finish_reason"],
        usage=Usage(*entry["usage"]),
        prompt_ids=tuple(entry["prompt_ids"]),
        output_ids=tuple(entry["output_ids"]),
        logprobs=tuple(entry["logprobs"]),
        model=entry["model"],
        weight_version=entry["weight_version"],
    )
