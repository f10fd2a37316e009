"""What a call costs on its way: our clients beside those they replace, at a local server with a fixed latency.

Wall time holds the latency, CPU time of this process only what the client computes. Sides take turns, and figures are
medians, because the machine may do something else meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.metadata
import json
import os
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any, NamedTuple

from _common import Row, report, row
from _latency_server import LatencyServer

from textgrad_rl import Message, Request, load_model
from textgrad_rl.models.chat_completions import chat_body

CONNECTIONS = 64
REQUEST = Request(messages=(Message("system", "Be brief. " * 20), Message("user", "How many are there? " * 50)))

Call = Callable[[Request], Awaitable[Any]]
Side = Callable[[str, AsyncExitStack], Awaitable[Call]]


class Cost(NamedTuple):
    """Seconds of a batch of calls by the clock, and milliseconds of CPU time per call."""

    wall_s: float
    cpu_ms: float


async def ours(url: str, stack: AsyncExitStack) -> Call:
    return load_model(f"{url}#stub", api_key="stub", max_concurrency=CONNECTIONS).complete


async def bare_aiohttp(url: str, stack: AsyncExitStack) -> Call:
    from aiohttp import ClientSession, TCPConnector

    session = await stack.enter_async_context(ClientSession(connector=TCPConnector(limit=CONNECTIONS)))

    async def call(request: Request) -> Any:
        headers = {"authorization": "Bearer stub"}
        async with session.post(f"{url}/chat/completions", json=chat_body("stub", request), headers=headers) as answer:
            return json.loads(await answer.read())

    return call


async def bare_httpx(url: str, stack: AsyncExitStack) -> Call:
    from httpx import AsyncClient, Limits, Timeout

    limits = Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    client = await stack.enter_async_context(AsyncClient(limits=limits, timeout=Timeout(120, pool=None)))

    async def call(request: Request) -> Any:
        headers = {"authorization": "Bearer stub"}
        return (await client.post(f"{url}/chat/completions", json=chat_body("stub", request), headers=headers)).json()

    return call


async def openai_sdk(url: str, stack: AsyncExitStack) -> Call:
    from openai import AsyncOpenAI

    client = await stack.enter_async_context(AsyncOpenAI(base_url=url, api_key="stub"))
    slots = asyncio.Semaphore(CONNECTIONS)

    async def call(request: Request) -> Any:
        async with slots:
            return await client.chat.completions.create(**chat_body("stub", request))

    return call


async def ours_litellm(url: str, stack: AsyncExitStack) -> Call:
    return load_model("litellm:openai/stub", api_base=url, api_key="stub", max_concurrency=CONNECTIONS).complete


async def bare_litellm(url: str, stack: AsyncExitStack) -> Call:
    import litellm

    def call(request: Request) -> Awaitable[Any]:
        body = chat_body("openai/stub", request)
        return litellm.acompletion(**body, api_base=url, api_key="stub")

    return call


def measure(side: Side, url: str, calls: int) -> Cost:
    """Make calls at once, after one that opens what there is to open."""

    async def run() -> Cost:
        async with AsyncExitStack() as stack:
            call = await side(url, stack)
            await call(replace(REQUEST, seed=calls))
            wall, cpu = time.perf_counter(), time.process_time()
            await asyncio.gather(*(call(replace(REQUEST, seed=seed)) for seed in range(calls)))
            return Cost(time.perf_counter() - wall, (time.process_time() - cpu) / calls * 1e3)

    return asyncio.run(run())


def medians(sides: list[Side], url: str, calls: int, repeats: int) -> list[Cost]:
    """Measure sides in turn."""
    costs = [[measure(side, url, calls) for side in sides] for _ in range(repeats)]
    return [
        Cost(*(statistics.median(figures) for figures in zip(*of_side, strict=True)))
        for of_side in zip(*costs, strict=True)
    ]


def rows_of(url: str, quick: bool) -> list[Row]:
    """Measure every case."""
    calls, repeats = (64, 1) if quick else (451, 9)
    rows = []
    direct: list[Side] = [ours, bare_aiohttp, openai_sdk, bare_httpx]
    mine, *others = medians(direct, url, calls, repeats)
    names = ["aiohttp", "openai", "httpx"]
    for name, other in zip(names, others, strict=True):
        label = f"{name} {importlib.metadata.version(name)}"
        rows.append(row(f"{calls} calls", "s", mine.wall_s, peer=other.wall_s, peer_name=label, target=0.8))
        rows.append(row("CPU per call", "ms", mine.cpu_ms, peer=other.cpu_ms, peer_name=label, target=0.4))
    mine, bare = medians([ours_litellm, bare_litellm], url, 16, 2 * repeats + 1)
    label = f"litellm {importlib.metadata.version('litellm')}, gathered"
    rows.append(
        row("16 calls, litellm", "s", mine.wall_s, peer=bare.wall_s, peer_name=label, target=1.15 * bare.wall_s)
    )
    rows.append(
        row("CPU per call, litellm", "ms", mine.cpu_ms, peer=bare.cpu_ms, peer_name=label, target=1.15 * bare.cpu_ms)
    )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer calls and repeats")
    parser.add_argument("--json", metavar="PATH", help="write the rows there")
    options = parser.parse_args()
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    with LatencyServer() as server:
        server.reset(latency_s=0.05)
        rows = rows_of(server.url, options.quick)
    report("transport", rows, options.json)


if __name__ == "__main__":
    main()
