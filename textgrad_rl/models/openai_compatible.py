"""A server that speaks the OpenAI chat protocol (vLLM, llama.cpp, OpenAI itself), called directly over HTTP.

Left out: streaming and tools, parameters that single models rename (litellm knows them), and going on from the tokens
of earlier turns, for which the protocol has no place.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, final
from urllib.request import getproxies, proxy_bypass

from textgrad_rl.models.address import hide, quote, read_address
from textgrad_rl.models.chat_completions import UNREADABLE, chat_body, is_same_model, read_completion
from textgrad_rl.models.dispatcher import Dispatcher
from textgrad_rl.models.per_loop import PerLoop
from textgrad_rl.models.prices import read_price
from textgrad_rl.models.retry import TransientError, failure
from textgrad_rl.models.structured import StructuredOutputs
from textgrad_rl_graphs.errors import ConfigError, ModelError
from textgrad_rl_graphs.types import Completion, Dialect, Request

if TYPE_CHECKING:
    from aiohttp import ClientSession

_TRUST = (
    "If you trust this server, write the certificate of who signed its own into a file and name the file in the "
    "environment variable SSL_CERT_FILE"
)


@final
class OpenAICompatible:
    """Posts every request to ``{base_url}/chat/completions``.

    Proxies come from the environment (HTTP_PROXY, HTTPS_PROXY, NO_PROXY), and so does the file of trusted certificates
    where the system's are not enough (SSL_CERT_FILE).

    A server that answers for another model than asked is warned about, once per name: many local servers call the one
    model they hold by a name of their own.

    Args:
        base_url: e.g. ``http://localhost:8000/v1``. User, password and query are sent and never shown.
        model: the server's name for the model.
        api_key: sent as bearer token; by default the environment variable OPENAI_API_KEY, read at every call.
        max_concurrency: calls under way at a time, each on a connection that is kept; further requests wait.
        timeout_s: seconds from sending a request to the end of its answer, after which it is given up.
        retries: attempts after the first, for failures that may pass (see :mod:`textgrad_rl.models.retry`).
        requests_per_minute, tokens_per_minute: None is no limit (see :mod:`textgrad_rl.models.rate_limit`).
        price: dollars per million prompt tokens, per million generated tokens and, if another, per million prompt
            tokens from the server's cache.
        token_ids: True asks for the tokens and their log-probabilities, as vLLM gives them.
        dialect: how roles speak to it.

    Raises:
        ConfigError: for a setting that cannot work.

    >>> OpenAICompatible("http://localhost:8000/v1", "small", price=(0.1, 0.4)).name
    'http://localhost:8000/v1#small'
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
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        price: tuple[float, ...] | None = None,
        token_ids: bool = False,
        dialect: Dialect = "json",
    ) -> None:
        """Keep the settings; the first request opens the connection."""
        self._address = read_address(base_url)
        if api_key and self._address.authorization:
            raise ConfigError("api_key and the user in base_url both claim the Authorization header; give one of them")
        if not timeout_s > 0:
            raise ConfigError(f"timeout_s must be > 0, got {timeout_s}")
        self._endpoint = self._address.endpoint("/chat/completions")
        self._model = model
        self._api_key = api_key
        self._timeout_s = timeout_s
        self._price = read_price(price)
        self._options = {"logprobs": True, "return_token_ids": True} if token_ids else {}
        self.name = f"{self._address.shown}#{model}"
        self.dialect: Dialect = dialect
        self.trainable = False
        self.weight_version = 0
        self._dispatcher = Dispatcher(
            max_concurrency=max_concurrency,
            retries=retries,
            requests_per_minute=requests_per_minute,
            tokens_per_minute=tokens_per_minute,
        )
        self._structured = StructuredOutputs()
        self._other_models: set[str] = set()
        self._sessions: PerLoop[ClientSession] = PerLoop(self._open_session, lambda session: session.close())

    async def complete(self, request: Request) -> Completion:
        """Post one request.

        Raises:
            ModelError: with the server's words; retryable where trying again later can help.
        """
        session = await self._sessions.get()
        body = chat_body(self._model, request) | self._options
        attempt = partial(self._attempt, session)
        return await self._dispatcher.send(request, lambda: self._structured.ask(body, attempt))

    def _open_session(self) -> ClientSession:
        """Return a client that keeps its connections; how many there are is the dispatcher's business."""
        import ssl

        from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector

        url = self._address.url
        # aiohttp makes its own context at import, and would not see an SSL_CERT_FILE that is set later.
        trusted = ssl.create_default_context() if url.scheme == "https" else True
        return ClientSession(
            connector=TCPConnector(limit=0, ssl=trusted),
            timeout=ClientTimeout(total=self._timeout_s),
            cookie_jar=DummyCookieJar(),
            proxy=None if proxy_bypass(url.netloc) else getproxies().get(url.scheme),
        )

    async def _attempt(self, session: ClientSession, body: dict[str, Any]) -> Completion:
        """Make one attempt."""
        from aiohttp import ClientConnectorCertificateError, ClientError

        key = ((os.environ.get("OPENAI_API_KEY") or "") if self._api_key is None else self._api_key).strip()
        authorization = self._address.authorization or (f"Bearer {key}" if key else None)
        headers = {"authorization": authorization} if authorization else {}
        secrets = (*self._address.secrets, key)
        try:
            async with session.post(self._endpoint, json=body, headers=headers, allow_redirects=False) as response:
                status, said, data = response.status, response.headers, await response.read()
        except TimeoutError:
            failed: Exception = TransientError(f"{self.name}: no answer within {self._timeout_s} s")
        except ClientConnectorCertificateError as error:
            failed = ModelError(hide(f"{self.name}: {error}. {_TRUST}", secrets))
        except ValueError as error:  # an address or a key that cannot be used
            failed = ModelError(hide(f"{self.name}: {type(error).__name__}: {error}", secrets))
        except ClientError as error:
            failed = TransientError(hide(f"{self.name}: {type(error).__name__}: {error}", secrets))
        else:
            return self._read(status, said, data, secrets)
        raise failed  # not where the other was caught: chained, that one would show the address as it is

    def _read(self, status: int, headers: Mapping[str, str], data: bytes, secrets: tuple[str, ...]) -> Completion:
        """Return the Completion of an answer.

        Raises:
            TransientError, ModelError: what any other answer means.
        """
        if status != 200:
            raise failure(f"{self.name}: status {status}: {_words(data, secrets)}", status, headers)
        try:
            answer = json.loads(data)
            if isinstance(answer, dict) and answer.get("error") and not answer.get("choices"):
                raise failure(f"{self.name}: {_words(data, secrets)}", _status_of(answer["error"]), headers)
            completion = read_completion(answer, self.name, self._price)
        except UNREADABLE as error:
            problem = hide(repr(error), secrets)
        else:
            self._check_model(hide(str(answer.get("model") or self._model), secrets))
            return completion
        raise ModelError(f"{self.name}: not an answer of the chat protocol ({problem}): {_words(data, secrets)}")

    def _check_model(self, answered: str) -> None:
        """Warn, once, when another model answered."""
        if answered not in self._other_models and not is_same_model(self._model, answered):
            self._other_models.add(answered)
            warnings.warn(f"{self.name}: answered by another model, {answered[:100]!r}", stacklevel=2)

    def __repr__(self) -> str:
        return f"OpenAICompatible({self._model!r} at {self._address.shown})"


def _status_of(error: object) -> int:
    """Return the status that an error inside an answer stands for, 0 when it does not say."""
    code = error.get("code") if isinstance(error, Mapping) else None
    return code if isinstance(code, int) else 0


def _words(data: bytes, secrets: tuple[str, ...]) -> str:
    return quote(data.decode("utf-8", "replace"), secrets)
