"""The chat protocol as data: a JSON body becomes Requests, Completions become JSON answers or chunks of a stream.

Source: OpenAI, "Create chat completion", https://platform.openai.com/docs/api-reference/chat/create.

A field that would change the answer and is not known here is refused, unless it is empty. Left out: tools, audio,
penalties and alternatives per token (``top_logprobs``).
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from textgrad_rl_graphs.errors import ConfigError
from textgrad_rl_graphs.hashing import digest
from textgrad_rl_graphs.types import Completion, Image, Message, Request, Sampling

TokenText = Callable[[int], str]
"""From a token id to how it reads."""

_HARMLESS = frozenset(
    [
        "metadata",
        "name",
        "parallel_tool_calls",
        "prompt_cache_key",
        "safety_identifier",
        "service_tier",
        "store",
        "user",
    ]
)
"""Fields that do not change what is answered; ``parallel_tool_calls`` says nothing without tools."""

_DATA_URL = re.compile(r"data:(image/[\w.+-]+);base64,(.+)", re.DOTALL)


class RefusedError(Exception):
    """A request that gets an error in the protocol's shape.

    Args:
        message: what was wrong and what to do.
        status: the HTTP status.
        param: the field at fault.
        code: a word that programs can test.
    """

    def __init__(self, message: str, *, status: int = 400, param: str | None = None, code: str | None = None) -> None:
        """Keep the parts."""
        super().__init__(message)
        self.status, self.param, self.code = status, param, code

    def body(self) -> dict[str, Any]:
        """Return the JSON of the error."""
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        return {"error": {"message": str(self), "type": kind, "param": self.param, "code": self.code}}


class _Fields(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)

    def refuse_unknown(self, where: str = "") -> None:
        """Refuse fields that say something and are not known."""
        for name, value in (self.model_extra or {}).items():
            if value and name not in _HARMLESS:
                raise RefusedError(f"{where}{name} is not supported by this server; leave it out", param=where + name)


class TextPart(_Fields):
    """A piece of text in a message."""

    type: Literal["text"]
    text: str


class ImageUrl(_Fields):
    """Where a picture is."""

    url: str


class ImagePart(_Fields):
    """A picture in a message."""

    type: Literal["image_url"]
    image_url: ImageUrl


Part = Annotated[TextPart | ImagePart, Field(discriminator="type")]


class ChatMessage(_Fields):
    """One message; ``developer`` is OpenAI's newer word for ``system``."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[Part]

    def message(self, where: str) -> Message:
        """Return what a model reads."""
        self.refuse_unknown(where)
        role = "system" if self.role == "developer" else self.role
        if isinstance(self.content, str):
            return Message(role, self.content)
        texts = [part.text for part in self.content if isinstance(part, TextPart)]
        urls = [part.image_url.url for part in self.content if isinstance(part, ImagePart)]
        return Message(role, "\n".join(texts), tuple(_image(url, f"{where}content") for url in urls))


class StreamOptions(_Fields):
    """Settings of a stream."""

    include_usage: bool = False


class JsonSchema(_Fields):
    """A named JSON schema."""

    # pydantic keeps the name `schema` for itself.
    definition: dict[str, Any] = Field(alias="schema")
    name: str = ""
    description: str | None = None
    strict: bool | None = None


class ResponseFormat(_Fields):
    """What form the answer has to have."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None

    def schema_of(self) -> Mapping[str, Any] | None:
        """Return the schema, None for free text."""
        self.refuse_unknown("response_format.")
        if self.type == "json_schema":
            if self.json_schema is None:
                raise RefusedError("response_format.json_schema is missing", param="response_format")
            return self.json_schema.definition
        return {"type": "object"} if self.type == "json_object" else None


class ChatBody(_Fields):
    """The body of ``POST /v1/chat/completions``.

    ``return_token_ids`` is vLLM's: the answer then carries ``prompt_token_ids`` and ``token_ids``.
    """

    model: str
    messages: list[ChatMessage] = Field(min_length=1)
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stop: str | list[str] | None = None
    n: int = Field(default=1, ge=1, le=128)
    seed: int | None = None
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    logprobs: bool | None = False
    response_format: ResponseFormat | None = None
    return_token_ids: bool | None = False

    def request(self) -> Request:
        """Return what the model is asked, with seed 0 where the client gives none.

        Raises:
            RefusedError: for a field or value that cannot be followed.
        """
        self.refuse_unknown()
        limit = self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens
        stop = [self.stop] if isinstance(self.stop, str) else self.stop or []
        try:
            sampling = Sampling(
                temperature=1.0 if self.temperature is None else self.temperature,
                max_tokens=limit,
                top_p=1.0 if self.top_p is None else self.top_p,
                stop=tuple(stop),
            )
        except ConfigError as error:
            raise RefusedError(str(error)) from error
        return Request(
            messages=tuple(message.message(f"messages.{place}.") for place, message in enumerate(self.messages)),
            sampling=sampling,
            seed=self.seed or 0,
            schema=None if self.response_format is None else self.response_format.schema_of(),
        )


def read_body(data: bytes) -> ChatBody:
    """Return the body of a chat request.

    Raises:
        RefusedError: naming the first field that is wrong.

    >>> read_body(b'{"model": "pocket", "messages": []}')
    Traceback (most recent call last):
    textgrad_rl.serving.protocol.RefusedError: messages: List should have at least 1 item after validation, not 0
    """
    try:
        return ChatBody.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        # pydantic names the branch of a union too, as "str" or "list[...]".
        where = ".".join(str(part) for part in first["loc"] if part != "str" and "[" not in str(part))
        raise RefusedError(f"{where or 'the body'}: {first['msg']}", param=where or None) from error


def answer_body(body: ChatBody, completions: Sequence[Completion], token_text: TokenText | None) -> dict[str, Any]:
    """Return the JSON of a whole answer.

    Args:
        body: what was asked.
        completions: one per choice.
        token_text: how tokens read; without it they are named by their ids.
    """
    messages = [{"role": "assistant", "content": completion.text} for completion in completions]
    choices = [
        {"index": index, "message": message, **_end(body, completion, token_text)}
        for index, (message, completion) in enumerate(zip(messages, completions, strict=True))
    ]
    ids = {"prompt_token_ids": list(completions[0].prompt_ids)} if body.return_token_ids else {}
    return {**_head(body, completions, "chat.completion"), "choices": choices, "usage": _usage(completions), **ids}


def answer_chunks(
    body: ChatBody, completions: Sequence[Completion], token_text: TokenText | None
) -> Iterator[dict[str, Any]]:
    """Return the JSON chunks of a streamed answer: per choice its role, its text word by word, and its end."""
    head = _head(body, completions, "chat.completion.chunk")
    counts = body.stream_options is not None and body.stream_options.include_usage
    usage: dict[str, Any] = {"usage": None} if counts else {}
    for index, completion in enumerate(completions):
        ids = {"prompt_token_ids": list(completion.prompt_ids)} if body.return_token_ids else {}
        opening = {"index": index, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
        yield {**head, "choices": [opening], **usage, **ids}
        for piece in re.findall(r"\S+\s*|^\s+", completion.text):
            yield {**head, "choices": [{"index": index, "delta": {"content": piece}, "finish_reason": None}], **usage}
        yield {**head, "choices": [{"index": index, "delta": {}, **_end(body, completion, token_text)}], **usage}
    if counts:
        yield {**head, "choices": [], "usage": _usage(completions)}


def _head(body: ChatBody, completions: Sequence[Completion], kind: str) -> dict[str, Any]:
    id_ = digest(*(part for item in completions for part in (item.text, item.prompt_ids, item.output_ids)))
    return {"id": f"chatcmpl-{id_}", "object": kind, "created": int(time.time()), "model": body.model}


def _end(body: ChatBody, completion: Completion, token_text: TokenText | None) -> dict[str, Any]:
    """Return what stands beside the text of a choice."""
    ids = {"token_ids": list(completion.output_ids)} if body.return_token_ids else {}
    return {"finish_reason": completion.finish_reason, "logprobs": _logprobs(body, completion, token_text), **ids}


def _logprobs(body: ChatBody, completion: Completion, token_text: TokenText | None) -> dict[str, Any] | None:
    """Return the log-probability of every sampled token, EOS included; None where the model does not tell."""
    if not body.logprobs or not completion.logprobs:
        return None
    text = token_text or "token_id:{}".format
    content = [
        {"token": token, "logprob": logprob, "bytes": list(token.encode()), "top_logprobs": []}
        for token, logprob in zip(map(text, completion.output_ids), completion.logprobs, strict=True)
    ]
    return {"content": content, "refusal": None}


def _usage(completions: Sequence[Completion]) -> dict[str, int]:
    """Return the tokens of an answer; the prompt of several choices counts once."""
    read, made = completions[0].usage.prompt_tokens, sum(item.usage.generated_tokens for item in completions)
    return {"prompt_tokens": read, "completion_tokens": made, "total_tokens": read + made}


def _image(url: str, where: str) -> Image:
    match = _DATA_URL.fullmatch(url)
    if match is None:
        raise RefusedError(f"{where}: images come as data:image/...;base64,... URLs; nothing is fetched", param=where)
    try:
        return Image(base64.b64decode(cast("str", match[2]), validate=True), match[1])
    except ValueError as error:
        raise RefusedError(f"{where}: the image is no base64 ({error})", param=where) from error
