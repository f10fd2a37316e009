"""Streams: chunks leave while the answer is made. Decoding waits at a gate, so no test depends on how fast it is."""

import asyncio
import json
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from itertools import count, pairwise
from typing import Any

import openai
import pytest

import textgrad_rl as tgr
from textgrad_rl.policies.decode import decode
from textgrad_rl.policies.policy import TransformersPolicy
from textgrad_rl.serving import Server, serve

SUM: Any = [
    {"role": "system", "content": "Solve step by step."},
    {"role": "user", "content": "State the final answer to the following arithmetic problem: 14 - 37 + 45 - 28 ="},
]
PLAIN: Any = [{"role": "user", "content": "say it"}]
LONG: Any = {"model": "pocket", "messages": SUM, "seed": 5, "max_tokens": 60}
STREAM: Any = {**LONG, "stream": True}

Gate = Callable[..., None]


@pytest.fixture(scope="module")
def server(pocket: TransformersPolicy) -> Iterator[Server]:
    with serve(pocket) as server:
        yield server


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    """Makes streamed batches stop at a token: to wait for an event, or to fail."""

    def close(at: int, opened: threading.Event | None = None) -> None:
        def gated(model: Any, rows: Any, *, on_tokens: Any, **settings: Any) -> Any:
            steps = count(1)

            def tell(drawn: Any) -> None:
                on_tokens(drawn)
                if next(steps) == at:
                    if opened is None:
                        raise MemoryError("no room left")
                    assert opened.wait(30), "nobody heard of the tokens before"

            return decode(model, rows, on_tokens=on_tokens and tell, **settings)

        monkeypatch.setattr("textgrad_rl.models.transformers.decode", gated)

    return close


@pytest.fixture
def client(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.run_url("run"), api_key="none", max_retries=0) as client:
        yield client


def text_of(chunk: Any, index: int = 0) -> str:
    return "".join(choice.delta.content or "" for choice in chunk.choices if choice.index == index)


def eventually(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 20
    while not (found := condition()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return found


def raw_stream(url: str) -> socket.socket:
    """Ask for a stream without reading it."""
    body = json.dumps(STREAM).encode()
    host, _, rest = url.removeprefix("http://").partition(":")
    port, _, path = rest.partition("/")
    connection = socket.create_connection((host, int(port)))
    head = f"POST /{path}/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)
    return connection


def test_chunks_leave_before_the_answer_is_there(server: Server, gate: Gate) -> None:
    opened = threading.Event()
    with openai.OpenAI(base_url=server.run_url("live"), api_key="none") as client:
        whole = client.chat.completions.create(**LONG)
        gate(20, opened)
        stream = client.chat.completions.create(**STREAM, stream_options={"include_usage": True})
        early, late = list[Any](), list[Any]()
        for chunk in stream:
            (late if opened.is_set() else early).append(chunk)
            if len(early) == 10 and not opened.is_set():
                assert len(server.calls("live")) == 1, "the answer is not there yet"
                opened.set()
    (_, first), (_, streamed) = server.calls("live")
    assert len(late) > 10
    assert "".join(map(text_of, early + late)) == streamed.text == whole.choices[0].message.content
    assert streamed == first
    assert late[-1].usage == whole.usage
    assert late[-2].choices[0].finish_reason == whole.choices[0].finish_reason
    assert {chunk.usage for chunk in (early + late)[:-1]} == {None}
    assert len({chunk.id for chunk in early + late}) == 1


async def test_choices_grow_side_by_side(server: Server) -> None:
    async with openai.AsyncOpenAI(base_url=server.run_url("side by side"), api_key="none") as client:
        chunks = [
            chunk async for chunk in await client.chat.completions.create(**STREAM, n=3, logprobs=True, temperature=1)
        ]
    choices = [chunk.choices[0] for chunk in chunks]
    order = [choice.index for choice in choices]
    assert len([1 for one, other in pairwise(order) if one != other]) > 20
    said = []
    for index in range(3):
        mine = [choice for choice in choices if choice.index == index]
        assert mine[0].delta.role == "assistant"
        assert [choice.finish_reason for choice in mine[:-1]] == [None] * (len(mine) - 1)
        tokens = [token for choice in mine if choice.logprobs for token in choice.logprobs.content or ()]
        said.append(
            ("".join(text_of(chunk, index) for chunk in chunks), mine[-1].finish_reason, [t.logprob for t in tokens])
        )
    recorded = [completion for _, completion in server.calls("side by side")]
    assert sorted(said) == sorted((item.text, item.finish_reason, list(item.logprobs)) for item in recorded)


def test_no_part_of_a_stop_string_leaves(client: openai.OpenAI) -> None:
    chunks = list(client.chat.completions.create(**STREAM, stop=["Step 2"]))
    whole = client.chat.completions.create(**LONG, stop=["Step 2"])
    text = "".join(map(text_of, chunks))
    assert "Step 1" in text
    assert not text.endswith("Step ")
    assert text == whole.choices[0].message.content
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_token_ids_are_spread_over_the_chunks(server: Server) -> None:
    body = json.dumps({**STREAM, "return_token_ids": True}).encode()
    with urllib.request.urlopen(f"{server.run_url('ids')}/chat/completions", body) as answer:
        events = [line.removeprefix(b"data: ") for line in answer.read().split(b"\n\n") if line]
    assert events.pop() == b"[DONE]"
    chunks = [json.loads(event) for event in events]
    ((_, completion),) = server.calls("ids")
    ids = [id_ for chunk in chunks for id_ in chunk["choices"][0].get("token_ids", ())]
    assert ids == list(completion.output_ids)
    assert chunks[-1]["prompt_token_ids"] == list(completion.prompt_ids)


def test_an_error_before_the_first_token_has_its_status(client: openai.OpenAI, gate: Gate) -> None:
    question: Any = [{"role": "user", "content": "1 + 1 " * 2000}]
    with pytest.raises(openai.BadRequestError, match="reads at most"):
        client.chat.completions.create(**{**STREAM, "messages": question})
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(**{**STREAM, "model": "other"})

    def second_fails(request: tgr.Request) -> str:
        if request.seed != 5:
            raise tgr.ModelError("try later", retryable=True)
        return "fine"

    with serve(tgr.FunctionModel(second_fails), name="pocket") as other:
        with pytest.raises(openai.InternalServerError, match="try later") as caught:
            client.with_options(base_url=other.url).chat.completions.create(**STREAM, n=2)
        assert caught.value.status_code == 503


def test_an_error_in_mid_answer_is_the_last_event(client: openai.OpenAI, gate: Gate) -> None:
    gate(10)
    said = ""
    with pytest.raises(openai.APIError, match="MemoryError: no room left"):  # noqa: PT012
        for chunk in client.chat.completions.create(**STREAM):
            said += text_of(chunk)
    assert said
    answer = client.chat.completions.create(**LONG)
    assert answer.choices[0].message.content is not None
    assert answer.choices[0].message.content.startswith(said)


def test_a_client_that_leaves_in_mid_answer_harms_nobody(server: Server, client: openai.OpenAI, gate: Gate) -> None:
    whole = client.chat.completions.create(**LONG).choices[0].message.content
    opened, mates = threading.Event(), list[Any]()
    gate(15, opened)
    mate = threading.Thread(target=lambda: mates.extend(client.chat.completions.create(**STREAM)))
    with raw_stream(server.run_url("gone")) as connection:
        mate.start()
        assert b"200 OK" in connection.recv(64)
    opened.set()
    assert eventually(lambda: server.calls("gone"))
    mate.join(20)
    assert [completion.text for _, completion in server.calls("gone")] == [whole]
    assert "".join(map(text_of, mates)) == whole
    assert client.models.list().data[0].id == "pocket"


def test_streams_are_answered_as_batches(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def counted(model: Any, rows: Any, **settings: Any) -> Any:
        sizes.append(len(rows))
        return decode(model, rows, **settings)

    monkeypatch.setattr("textgrad_rl.models.transformers.decode", counted)

    async def one(client: openai.AsyncOpenAI, seed: int) -> str:
        stream = await client.chat.completions.create(**{**STREAM, "seed": seed, "max_tokens": 20})
        return "".join([text_of(chunk) async for chunk in stream])

    async def many() -> list[str]:
        async with openai.AsyncOpenAI(base_url=server.url, api_key="none") as client:
            return await asyncio.gather(*(one(client, seed) for seed in range(24)))

    assert all(asyncio.run(many()))
    assert sum(sizes) == 24
    assert len(sizes) <= 12


def test_an_agent_hears_its_model_too(pocket: TransformersPolicy, gate: Gate) -> None:
    opened = threading.Event()
    gate(10, opened)

    def program(base_url: str, question: str) -> str:
        with openai.OpenAI(base_url=base_url, api_key="none", max_retries=0) as client:
            said = ""
            messages: Any = [{"role": "user", "content": question}]
            for chunk in client.chat.completions.create(model="any", messages=messages, stream=True):
                said += text_of(chunk)
                if said:
                    opened.set()
            return said

    trace = tgr.Agent(pocket, program, sampling=tgr.Sampling(max_tokens=30)).run({"question": SUM[1]["content"]})
    assert trace.output is not None
    call, _ = trace.ordered()
    assert call.completion is not None
    assert call.completion.text == trace.output.text
