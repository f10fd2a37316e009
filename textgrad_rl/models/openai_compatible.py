"""A server that speaks the OpenAI chat protocol (vLLM, llama.cpp, OpenAI itself), called directly over HTTP.

Left out: streaming, tools, structured output, and token ids with their log-probabilities, which servers report in
different ways.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, final

from textgrad_rl.models.per_loop import PerLoop
from textgrad_rl.models.retry import TransientError, is_transient, retry_after_s, with_retries
from textgrad_rl_graphs.errors import ModelError
from textgrad_rl_graphs.types import Completion, Dialect, Request, Usage

if TYPE_CHECKING:
    from httpx import AsyncClient, Response

_WORDS = 500
"""Characters of a server's answer that an error quotes."""


@final
class OpenAICompatible:
    """Posts every request to ``{base_url}/chat/completions``.

    Args:
        base_url: e.g. ``http://localhost:8000/v1``.
        model: the server's name for the model.
        api_key: sent as bearer token; by default the environment variable OPENAI_API_KEY, read at every call.
        max_concurrency: connections open at a time; further requests wait.
        timeout_s: seconds until a connection or an answer is given up.
        retries: attempts after the first, for failures that may pass (see :mod:`textgrad_rl.models.retry`).
        dialect: how roles speak to it.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        api_key: str | None = None,
        max_concurrency: int = 64,
        timeout_s: float = 120.0,
        retries: int = 4,
        dialect: Dialect = "json",
    ) -> None:
        """Keep the settings; the first request opens the connection."""
        self._base_url = base_url.rstrip("/")
        self._model = model
        self._api_key = api_key
        self._max_concurrency = max_concurrency
        self._timeout_s = timeout_s
        self._retries = retries
        self.name = f"{self._base_url}#{model}"
        self.dialect: Dialect = dialect
        self.trainable = False
        self.weight_version = 0
        self._clients: PerLoop[AsyncClient] = PerLoop(self._make_client, lambda client: client.aclose())

    async def complete(self, request: Request) -> Completion:
        """Post one request.

        Raises:
            ModelError: with the server's words; retryable where trying again later can help.
        """
        client = await self._clients.get()
        body = chat_body(self._model, request)
        return await with_retries(lambda: self._attempt(client, body), retries=self._retries)

    def _make_client(self) -> AsyncClient:
        """Return a client that keeps its connections; waiting for a free one is not limited in time."""
        from httpx import AsyncClient, Limits, Timeout

        limits = Limits(max_connections=self._max_concurrency, max_keepalive_connections=self._max_concurrency)
        return AsyncClient(limits=limits, timeout=Timeout(self._timeout_s, pool=None))

    async def _attempt(self, client: AsyncClient, body: dict[str, Any]) -> Completion:
        """Make one attempt."""
        import httpx

        key = os.environ.get("OPENAI_API_KEY") if self._api_key is None else self._api_key
        headers = {"authorization": f"Bearer {key}"} if key else {}
        try:
            response = await client.post(f"{self._base_url}/chat/completions", json=body, headers=headers)
        except httpx.TimeoutException as error:
            raise TransientError(f"{self.name}: no answer within {self._timeout_s} s") from error
        except httpx.TransportError as error:
            raise TransientError(f"{self.name}: {type(error).__name__}: {error}") from error
        except (httpx.InvalidURL, httpx.HTTPError) as error:
            raise ModelError(f"{self.name}: {error}") from error
        if response.status_code != 200:
            said = f"{self.name}: status {response.status_code}: {_words(response, key)}"
            if is_transient(response.status_code):
                raise TransientError(said, retry_after_s(response.headers))
            raise ModelError(said)
        try:
            return read_completion(response.json(), self.name)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            said = f"{self.name}: not an answer of the chat protocol ({error!r}): {_words(response, key)}"
            raise ModelError(said) from error

    def __repr__(self) -> str:
        return f"OpenAICompatible({self._model!r} at {self._base_url})"


def chat_body(model: str, request: Request) -> dict[str, Any]:
    """Return the JSON body of a request; settings at their neutral value are left to the server."""
    sampling = request.sampling
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": message.role, "content": message.content} for message in request.messages],
        "temperature": sampling.temperature,
        "seed": request.seed,
    }
    if sampling.max_tokens is not None:
        body["max_tokens"] = sampling.max_tokens
    if sampling.top_p < 1:
        body["top_p"] = sampling.top_p
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    return body


def read_completion(answer: Any, name: str) -> Completion:
    """Return the Completion of a response's JSON.

    Raises:
        AttributeError, IndexError, KeyError, TypeError, ValueError: for anything that is no answer of the protocol.
    """
    choice = answer["choices"][0]
    text = choice["message"]["content"]
    if not isinstance(text, str):
        raise TypeError(f"content is {text!r}, not a text")
    spent = answer.get("usage") or {}
    usage = Usage(int(spent.get("prompt_tokens") or 0), int(spent.get("completion_tokens") or 0), calls=1)
    return Completion(text=text, finish_reason=choice.get("finish_reason") or "stop", usage=usage, model=name)


def _words(response: Response, key: str | None) -> str:
    """Return the server's words, shortened, without the key in case the server repeats it."""
    text = response.text.strip()
    text = text.replace(key, "[key]") if key else text
    return text[:_WORDS] or "(no words)"
