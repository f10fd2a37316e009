"""Any provider that litellm knows, with the price of every call.

Left out: litellm's own retries, caches and callbacks; retries follow :mod:`textgrad_rl.models.retry`.
"""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Mapping
from typing import Any, final

from textgrad_rl.models.openai_compatible import chat_body, read_completion
from textgrad_rl.models.per_loop import PerLoop
from textgrad_rl.models.retry import TransientError, is_transient, retry_after_s, with_retries
from textgrad_rl_graphs.errors import ConfigError, ModelError
from textgrad_rl_graphs.types import Completion, Dialect, Request, Usage


@final
class LiteLLM:
    """Asks a provider through litellm.

    Args:
        model: ``provider/model`` in litellm's naming.
        api_base: another address than the provider's own.
        api_key: by default what litellm finds in the environment.
        max_concurrency: calls under way at a time.
        timeout_s: seconds until an answer is given up.
        retries: attempts after the first, for failures that may pass.
        dialect: how roles speak to it.

    Raises:
        ConfigError: for a model without a provider.

    >>> LiteLLM("openai/gpt-5-mini").name
    'litellm:openai/gpt-5-mini'
    """

    def __init__(
        self,
        model: str,
        *,
        api_base: str | None = None,
        api_key: str | None = None,
        max_concurrency: int = 64,
        timeout_s: float = 120.0,
        retries: int = 4,
        dialect: Dialect = "json",
    ) -> None:
        """Keep the settings; litellm is imported by the first call."""
        if "/" not in model:
            raise ConfigError(f"litellm needs provider/model, e.g. litellm:openai/{model}; got {model!r}")
        self._model = model
        self._api_base = api_base
        self._api_key = api_key
        self._timeout_s = timeout_s
        self._retries = retries
        self.name = f"litellm:{model}"
        self.dialect: Dialect = dialect
        self.trainable = False
        self.weight_version = 0
        self._slots = PerLoop(lambda: asyncio.Semaphore(max_concurrency), _close_clients)

    async def complete(self, request: Request) -> Completion:
        """Make one call.

        Raises:
            ModelError: with the provider's words; retryable where trying again later can help.
        """
        slots = await self._slots.get()
        body = chat_body(self._model, request)
        async with slots:
            return await with_retries(lambda: self._attempt(body), retries=self._retries)

    async def _attempt(self, body: dict[str, Any]) -> Completion:
        """Make one attempt."""
        litellm = _litellm()
        try:
            # drop_params: a provider without e.g. seeds gets the rest of the request instead of refusing it.
            response = await litellm.acompletion(
                **body,
                timeout=self._timeout_s,
                api_base=self._api_base,
                api_key=self._api_key,
                num_retries=0,
                max_retries=0,
                drop_params=True,
            )
        except Exception as error:  # litellm's errors share no base; each carries the HTTP status it stands for
            said = f"{self.name}: {self._words(error)}"
            if is_transient(int(getattr(error, "status_code", None) or 400)):
                raise TransientError(said, retry_after_s(_headers(error))) from None
            raise ModelError(said) from None  # not chained: the words of the cause may hold a key
        try:
            completion = read_completion(response.model_dump(), self.name)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{self.name}: not an answer of the chat protocol ({error!r})") from error
        return _priced(completion, response)

    def _words(self, error: BaseException) -> str:
        """Return the provider's words without any key of ours, should it repeat one."""
        keys = [value for name, value in os.environ.items() if name.endswith("_API_KEY")] + [self._api_key]
        words = str(error)
        for key in keys:
            words = words.replace(key, "[key]") if key else words
        return words

    def __repr__(self) -> str:
        return f"LiteLLM({self._model!r})"


def _litellm() -> Any:
    """Import litellm with the price list that it ships instead of the one it would download."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm

    litellm.suppress_debug_info = True  # else it prints advice beside every error that it raises
    return litellm


def _headers(error: BaseException) -> Mapping[str, str]:
    """Return the headers that came with an error, in lower case."""
    headers = getattr(error, "litellm_response_headers", None) or getattr(error, "headers", None) or {}
    return {str(name).lower(): str(value) for name, value in dict(headers).items()}


async def _close_clients(_: asyncio.Semaphore) -> None:
    """Close the clients that litellm keeps for the loop that ends, and forget them.

    Its own ``close_litellm_async_clients`` closes those of other running loops too, and keeps closed ones under the
    loop's id, which a later loop may get again.
    """
    clients = _litellm().in_memory_llm_clients_cache.cache_dict
    mine = f"-{id(asyncio.get_running_loop())}"
    for key in [key for key in clients if str(key).endswith(mine)]:
        client = clients.pop(key)
        close = getattr(client, "aclose", None) or getattr(client, "close", None)
        closing = None if close is None else close()
        if inspect.isawaitable(closing):
            await closing


def _priced(completion: Completion, response: Any) -> Completion:
    """Return the completion with its price in dollars; models litellm has no price for cost 0."""
    from dataclasses import replace

    try:
        usd = float(_litellm().completion_cost(response))
    except Exception:  # litellm raises bare exceptions here, and a price is no reason to lose a paid answer
        return completion
    return replace(completion, usage=completion.usage + Usage(usd=usd))
