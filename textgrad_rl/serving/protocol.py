"""The chat protocol as data: a JSON body becomes Requests, Completions become JSON answers or chunks of a stream.

Source: OpenAI, "Create chat completion", https://platform.openai.com/docs/api-reference/chat/create.

A field that would change the answer and is not known here is refused, unless it is empty. Left out: audio, penalties,
alternatives per token (``top_logprobs``), and tools: answers are texts here, so no answer could hold a call as the
protocol has it, and a client that was promised calls would take them for the final answer.
"""

from __future__ import annotations

import base64
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, cast, final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from textgrad_rl.models.streaming import Delta
from textgrad_rl_graphs.errors import ConfigError
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

_INSTEAD = dict.fromkeys(
    ["tools", "functions"], "answers are plain text here; tell of them in a message and read the calls in the text"
)
"""What to do without a field, where leaving it out is not the whole story."""

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
                advice = _INSTEAD.get(name, "leave it out")
                raise RefusedError(f"{where}{name} is not supported by this server: {advice}", param=where + name)


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

    ``top_k`` and ``return_token_ids`` are vLLM's: with the latter, the answer carries ``prompt_token_ids`` and
    ``token_ids``.
    """

    model: str
    messages: list[ChatMessage] = Field(min_length=1)
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
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
                top_k=self.top_k,
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
        {
            "index": index,
            "message": message,
            "finish_reason": completion.finish_reason,
            **_beside(body, completion, token_text),
        }
        for index, (message, completion) in enumerate(zip(messages, completions, strict=True))
    ]
    ids = {"prompt_token_ids": list(completions[0].prompt_ids)} if body.return_token_ids else {}
    return {**_head(body, "chat.completion"), "choices": choices, "usage": _usage(completions), **ids}


@final
class AnswerChunks:
    """The JSON chunks of one streamed answer: per choice its role, its text as it grows, and its end.

    What a choice grows by may come in deltas; what they did not tell comes word by word once the whole answer is there.

    Args:
        body: what was asked.
        token_text: as for :func:`answer_body`.
    """

    def __init__(self, body: ChatBody, token_text: TokenText | None) -> None:
        """Start with nothing told."""
        self._body = body
        self._token_text = token_text
        self._counts = body.stream_options is not None and body.stream_options.include_usage
        self._head = _head(body, "chat.completion.chunk") | ({"usage": None} if self._counts else {})
        self._told: dict[int, Delta] = {}

    def of(self, index: int, news: Delta | Completion) -> Iterator[dict[str, Any]]:
        """Return the chunks that tell what a choice has grown by, or how it ends.

        Raises:
            ValueError: when the whole answer does not go on from what was told.
        """
        if index not in self._told:
            self._told[index] = Delta("", (), ())
            yield self._choice(index, {"role": "assistant", "content": ""})
        told = self._told[index]
        if isinstance(news, Delta):
            self._told[index] = told + news
            if news.text or self._body.logprobs or self._body.return_token_ids:
                yield self._choice(index, {"content": news.text}, **self._beside(news))
            return
        if not news.text.startswith(told.text):
            raise ValueError("the answer is another one than what was streamed of it")
        for piece in re.findall(r"\S+\s*|^\s+", news.text[len(told.text) :]):
            yield self._choice(index, {"content": piece})
        count = len(told.output_ids)
        rest = Delta("", news.output_ids[count:], news.logprobs[count:])
        ids = {"prompt_token_ids": list(news.prompt_ids)} if self._body.return_token_ids else {}
        yield {**self._choice(index, {}, **self._beside(rest), finish_reason=news.finish_reason), **ids}

    def last(self, completions: Sequence[Completion]) -> Iterator[dict[str, Any]]:
        """Return the chunk with the usage, if it was asked for."""
        if self._counts:
            yield {**self._head, "choices": [], "usage": _usage(completions)}

    def _choice(self, index: int, delta: dict[str, str], **beside: Any) -> dict[str, Any]:
        return {**self._head, "choices": [{"index": index, "delta": delta, "finish_reason": None, **beside}]}

    def _beside(self, news: Delta) -> dict[str, Any]:
        return _beside(self._body, news, self._token_text)


def _head(body: ChatBody, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{uuid.uuid4().hex}", "object": kind, "created": int(time.time()), "model": body.model}


def _beside(body: ChatBody, said: Delta | Completion, token_text: TokenText | None) -> dict[str, Any]:
    """Return what stands beside a text: its tokens, as far as they were asked for."""
    ids = {"token_ids": list(said.output_ids)} if body.return_token_ids else {}
    return {"logprobs": _logprobs(said, token_text) if body.logprobs else None, **ids}


def _logprobs(said: Delta | Completion, token_text: TokenText | None) -> dict[str, Any] | None:
    """Return the log-probability of every sampled token, EOS included; None where the model does not tell."""
    if not said.logprobs:
        return None
    text = token_text or "token_id:{}".format
    content = [
        {"token": token, "logprob": logprob, "bytes": list(token.encode()), "top_logprobs": []}
        for token, logprob in zip(map(text, said.output_ids), said.logprobs, strict=True)
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
