"""The OpenAI chat protocol: from a Request to the JSON of a call, from the JSON of an answer to a Completion.

An answer without content (the model refused, called a tool, or thought until its limit) is a Completion with the
refusal or an empty text: it was paid for, and it is the graph that tells what an empty answer means.
Left out: streaming, tools, several choices per call, and the text that a model thinks before its answer.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from textgrad_rl.models.prices import Price
from textgrad_rl_graphs.types import Completion, Message, Request, Usage

UNREADABLE = (AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What reading raises for anything that is no answer of the protocol, broken JSON included."""


def chat_body(model: str, request: Request) -> dict[str, Any]:
    """Return the JSON body of a request; settings at their neutral value are left to the server.

    Args:
        model: the server's name for the model.
        request: what to ask.
    """
    sampling = request.sampling
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": message.role, "content": _content(message)} for message in request.messages],
        "temperature": sampling.temperature,
        "seed": request.seed,
    }
    if sampling.max_tokens is not None:
        body["max_tokens"] = sampling.max_tokens
    if sampling.top_p < 1:
        body["top_p"] = sampling.top_p
    if sampling.top_k is not None:
        body["top_k"] = sampling.top_k  # beyond the protocol; vLLM and others know it
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if request.schema is not None:
        body["response_format"] = response_format(request.schema)
    return body


def _content(message: Message) -> str | list[dict[str, Any]]:
    """Return a text as it is; with images it is a list of parts, each image inside as a ``data:`` address."""
    if not message.images:
        return message.content
    addresses = [f"data:{image.media_type};base64,{b64encode(image.data).decode()}" for image in message.images]
    images = [{"type": "image_url", "image_url": {"url": address}} for address in addresses]
    return [{"type": "text", "text": message.content}, *images]


def response_format(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return what asks a server for an answer that follows a JSON schema.

    Source: https://platform.openai.com/docs/guides/structured-outputs. ``strict`` holds the model to the schema, and
    servers refuse it for schemas with objects that are not closed; others are asked for without it.

    >>> schema = {"title": "Sum", "type": "object", "properties": {"sum": {"type": "integer"}}}
    >>> response_format(schema)["json_schema"]["strict"]
    False
    >>> closed = schema | {"required": ["sum"], "additionalProperties": False}
    >>> response_format(closed)["json_schema"]["strict"]
    True
    """
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", str(schema.get("title") or "answer"))[:64]
    return {"type": "json_schema", "json_schema": {"name": name, "schema": dict(schema), "strict": _is_closed(schema)}}


def _is_closed(schema: object) -> bool:
    """Tell whether every object of a schema has exactly the properties it lists."""
    if isinstance(schema, Mapping):
        properties = schema.get("properties")
        if isinstance(properties, Mapping) and (
            schema.get("additionalProperties") is not False or set(schema.get("required", ())) != set(properties)
        ):
            return False
        return all(map(_is_closed, schema.values()))
    return all(map(_is_closed, schema)) if isinstance(schema, list) else True


def read_completion(answer: Any, name: str, price: Price | None = None) -> Completion:
    """Return the Completion of a response's JSON.

    Args:
        answer: the JSON.
        name: of the model, for the Completion.
        price: what the tokens cost, None for nothing.

    Raises:
        Exception: one of ``UNREADABLE``.
    """
    choice = answer["choices"][0]
    output_ids = tuple(map(int, choice.get("token_ids") or ()))
    logprobs = tuple(float(token["logprob"]) for token in (choice.get("logprobs") or {}).get("content") or ())
    if logprobs and output_ids and len(logprobs) != len(output_ids):
        raise ValueError(f"{len(output_ids)} token ids, but {len(logprobs)} log-probabilities")
    return Completion(
        text=_text(choice["message"]),
        finish_reason=choice.get("finish_reason") or "stop",
        usage=_usage(answer.get("usage"), price),
        prompt_ids=tuple(map(int, answer.get("prompt_token_ids") or ())),
        output_ids=output_ids,
        logprobs=logprobs if output_ids else (),
        model=name,
    )


def _text(message: Mapping[str, Any]) -> str:
    """Return the text of an answer; see the module for one without content."""
    text = message.get("content")
    if text is None:  # litellm moves what it does not know into provider_specific_fields
        text = message.get("refusal") or (message.get("provider_specific_fields") or {}).get("refusal") or ""
    if not isinstance(text, str):
        raise TypeError(f"content is a {type(text).__name__}, not a text")
    return text


def _usage(spent: Any, price: Price | None) -> Usage:
    """Return the usage of one call; a server that does not tell costs a call."""
    if not isinstance(spent, Mapping):
        return Usage(calls=1)
    prompt, generated = int(spent.get("prompt_tokens") or 0), int(spent.get("completion_tokens") or 0)
    cached = int((spent.get("prompt_tokens_details") or {}).get("cached_tokens") or 0)
    return Usage(prompt, generated, calls=1, usd=0.0 if price is None else price.usd(prompt, generated, cached))


def is_same_model(asked: str, answered: str) -> bool:
    """Tell whether a server's answer comes from the model that was asked for.

    A name may gain a date or a version (``gpt-4o``, ``gpt-4o-2024-08-06``), a tag ``latest`` and a folder or provider
    in front.

    >>> [is_same_model("gpt-4o", name) for name in ("gpt-4o-2024-08-06", "openai/gpt-4o", "gpt-4o:latest")]
    [True, True, True]
    >>> [is_same_model("gpt-4o", name) for name in ("gpt-4o-mini", "gpt-4")]
    [False, False]
    """
    asked, answered = (name.rpartition("/")[2].lower() for name in (asked, answered))
    plain = re.sub(r"[-:@]latest$", "", asked)
    return answered in (asked, plain) or re.sub(r"[-:@](latest|\d{3,8}|\d{4}-\d\d-\d\d)$", "", answered) == plain
