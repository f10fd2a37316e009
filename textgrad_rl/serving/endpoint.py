"""The HTTP side: routes, runs, errors. Whatever answers a Request can stand behind it.

A stream starts with the first delta of an answer, or with the whole of it where the model does not tell before. So an
error before that has its proper status; a later one is the stream's last event. Answers do not wait for those who read
them: what a client that went away had asked for is still answered and recorded.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import final

from aiohttp import web

from textgrad_rl.models.streaming import Delta, OnDelta
from textgrad_rl.serving.protocol import AnswerChunks, ChatBody, RefusedError, TokenText, answer_body, read_body
from textgrad_rl_graphs.errors import ConfigError, ModelError, TextGradRLError
from textgrad_rl_graphs.hashing import derive_seed
from textgrad_rl_graphs.types import Completion, Request

HOST = "127.0.0.1"
"""Loopback: nothing but this machine can connect."""

_LARGEST_BODY = 32 * 2**20
"""Bytes; room for some pictures."""

_CLOSING_S = 1.0
"""Seconds that open answers are given when the server stops."""

_ROUTES = "POST /v1/chat/completions and GET /v1/models, also below /run/RUN_ID"


News = tuple[int, Delta | Completion]
"""What became of one choice of an answer."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Answers the chat protocol.

    Args:
        answer: from run id ("" without one) and Request to a Completion; who listens to it, or None, comes third.
        name: the model's name; clients have to ask for it.
        any_name: True answers requests for any model, so that an agent may keep the name it was written for.
        seed_of: the seed of a request that brings none.
        token_text: how tokens read, if known.
        refused: is told of requests that the protocol's side refuses, with their run id.
    """

    answer: Callable[[str, Request, OnDelta | None], Awaitable[Completion]]
    name: str
    any_name: bool = False
    seed_of: Callable[[str, Request], int] = lambda run, request: 0
    token_text: TokenText | None = None
    refused: Callable[[str, RefusedError], None] = lambda run, reason: None

    def application(self) -> web.Application:
        """Return the aiohttp application."""
        application = web.Application(client_max_size=_LARGEST_BODY, middlewares=[_errors_as_json])
        for prefix in ("/v1", "/run/{run}/v1"):
            application.router.add_post(f"{prefix}/chat/completions", self.chat)
            application.router.add_get(f"{prefix}/models", self.models)
        return application

    async def models(self, _: web.Request) -> web.Response:
        """Answer ``GET /v1/models``."""
        model = {"id": self.name, "object": "model", "created": 0, "owned_by": "textgrad_rl"}
        return web.json_response({"object": "list", "data": [model]})

    async def chat(self, http: web.Request) -> web.StreamResponse:
        """Answer ``POST /v1/chat/completions``."""
        run = http.match_info.get("run") or http.headers.get("x-run-id") or ""
        try:
            body = read_body(await http.read())
            if body.stream:
                return await self._stream(http, run, body)
            completions = await self._answers(run, body)
        except RefusedError as error:
            self.refused(run, error)
            raise
        return web.json_response(answer_body(body, completions, self.token_text))

    async def _stream(self, http: web.Request, run: str, body: ChatBody) -> web.StreamResponse:
        """Send an answer as it grows; what fails before the first delta is raised."""
        news: asyncio.Queue[News | None] = asyncio.Queue()
        begun = asyncio.Event()

        def hear(index: int, item: Delta | Completion) -> None:
            news.put_nowait((index, item))
            if isinstance(item, Delta):
                begun.set()

        def end(_: object) -> None:
            news.put_nowait(None)
            begun.set()

        answers = asyncio.create_task(self._answers(run, body, hear))
        answers.add_done_callback(end)
        await begun.wait()
        if answers.done():
            answers.result()
        stream = web.StreamResponse(headers={"content-type": "text/event-stream", "cache-control": "no-cache"})
        try:
            await stream.prepare(http)
            async with aclosing(self._events(body, news, answers)) as events:
                async for event in events:
                    await stream.write(f"data: {event}\n\n".encode())
        except ConnectionResetError:  # the client has gone
            with suppress(Exception):
                await answers
        return stream

    async def _events(
        self, body: ChatBody, news: asyncio.Queue[News | None], answers: asyncio.Task[list[Completion]]
    ) -> AsyncGenerator[str, None]:
        """Return the events of a stream; ``news`` ends with None once the answers are there or have failed."""
        chunks = AnswerChunks(body, self.token_text)
        try:
            while (item := await news.get()) is not None:
                for chunk in chunks.of(*item):
                    yield json.dumps(chunk)
            for chunk in chunks.last(answers.result()):
                yield json.dumps(chunk)
            yield "[DONE]"
        except Exception as error:
            yield json.dumps(_refusal(error).body())

    async def _answers(
        self, run: str, body: ChatBody, hear: Callable[[int, Delta | Completion], None] | None = None
    ) -> list[Completion]:
        """Return one answer per choice; ``hear`` gets the deltas of each, and its answer."""
        if body.model != self.name and not self.any_name:
            said = f"there is no model {body.model!r} here; this server has {self.name!r}"
            raise RefusedError(said, status=404, param="model", code="model_not_found")
        request = body.request()
        seed = self.seed_of(run, request) if body.seed is None else body.seed
        seeds = [seed, *(derive_seed("choice", seed, index) for index in range(1, body.n))]

        async def choice(index: int, seed: int) -> Completion:
            on_delta = None if hear is None else partial(hear, index)
            completion = await self.answer(run, replace(request, seed=seed), on_delta)
            if hear is not None:
                hear(index, completion)
            return completion

        return await asyncio.gather(*map(choice, range(body.n), seeds))


async def listen(application: web.Application, port: int = 0) -> tuple[web.AppRunner, str]:
    """Serve an application on loopback until ``await runner.cleanup()``.

    Args:
        application: what answers.
        port: 0 takes any that is free.

    Returns:
        The runner, and the origin ``http://127.0.0.1:PORT``.

    Raises:
        ConfigError: when the port cannot be opened.
    """
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=_CLOSING_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port).start()
    except (OSError, OverflowError) as error:
        await runner.cleanup()
        raise ConfigError(f"port {port} of {HOST} cannot be opened ({error}); port=0 takes any free one") from error
    return runner, f"http://{HOST}:{runner.addresses[0][1]}"


@web.middleware
async def _errors_as_json(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        said = f"{request.method} {request.path}: {error.reason}; this server has {_ROUTES}"
        refused = RefusedError(said, status=error.status)
        if isinstance(error, web.HTTPRequestEntityTooLarge):
            refused = RefusedError(f"the body has more than {_LARGEST_BODY:,} bytes", status=413)
    except Exception as error:
        refused = _refusal(error)
    return web.json_response(refused.body(), status=refused.status)


def _refusal(error: Exception) -> RefusedError:
    """Return what a client is told of an error."""
    if isinstance(error, RefusedError):
        return error
    if isinstance(error, ModelError):
        # Clients repeat what fails with 503, and give up on 400.
        return RefusedError(str(error), status=503 if error.retryable else 400)
    if isinstance(error, TextGradRLError):
        return RefusedError(str(error))
    logging.getLogger(__name__).error("an answer failed", exc_info=error)
    return RefusedError(f"{type(error).__name__}: {error}", status=500)
