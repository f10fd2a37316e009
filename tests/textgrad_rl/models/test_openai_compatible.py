import asyncio
import gc
import json
import socket
from typing import Any

import pytest

from tests.support.openai_server import Reply, chat_answer, serve
from textgrad_rl.models import OpenAICompatible
from textgrad_rl_graphs.errors import ModelError
from textgrad_rl_graphs.types import Message, Request, Sampling, Usage

REQUEST = Request(messages=(Message("system", "be brief"), Message("user", "who are you")), seed=7)
KEY = "sk-very-secret-key"
SOON = {"retry-after": "0.01"}


def failing_first(count: int, reply: Reply) -> Any:
    """A reply that is given `count` times, then "fine"."""
    left = [count]

    def answer(messages: Any, body: Any) -> Reply:
        left[0] -= 1
        return "fine" if left[0] < 0 else reply

    return answer


async def test_a_request_goes_over_the_wire_whole() -> None:
    sampling = Sampling(temperature=0.5, max_tokens=9, top_p=0.9, stop=("END",))
    with serve(lambda messages, body: messages[-1]["content"].upper()) as server:
        model = OpenAICompatible(server.url + "/", "small", api_key=KEY)
        answer = await model.complete(Request(messages=REQUEST.messages, sampling=sampling, seed=7))
    (seen,) = server.requests
    assert (answer.text, answer.finish_reason, answer.model) == ("WHO ARE YOU", "stop", f"{server.url}#small")
    assert answer.usage == Usage(prompt_tokens=5, generated_tokens=3, calls=1)
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    assert seen.body == {
        "model": "small",
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "who are you"}],
        "temperature": 0.5,
        "seed": 7,
        "max_tokens": 9,
        "top_p": 0.9,
        "stop": ["END"],
    }


async def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(lambda messages, body: "fine") as server:
        monkeypatch.delenv("OPENAI_API_KEY", raising=False)
        await OpenAICompatible(server.url, "small").complete(REQUEST)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        await OpenAICompatible(server.url, "small").complete(REQUEST)
    assert [seen.headers.get("authorization") for seen in server.requests] == [None, f"Bearer {KEY}"]


@pytest.mark.parametrize("status", [408, 409, 429, 500, 503])
async def test_failures_that_may_pass_are_tried_again(status: int) -> None:
    with serve(failing_first(2, (status, "busy", SOON))) as server:
        answer = await OpenAICompatible(server.url, "small").complete(REQUEST)
    assert answer.text == "fine"
    assert len(server.requests) == 3


async def test_a_server_that_stays_down_is_given_up() -> None:
    with (
        serve(lambda messages, body: (503, "overloaded", SOON)) as server,
        pytest.raises(ModelError, match=r"503: overloaded .*after 3 attempts") as caught,
    ):
        await OpenAICompatible(server.url, "small", retries=2).complete(REQUEST)
    assert caught.value.retryable
    assert len(server.requests) == 3


@pytest.mark.parametrize("status", [400, 401, 404])
async def test_other_failures_come_at_once_in_the_servers_words_and_without_the_key(status: int) -> None:
    words = json.dumps({"error": {"message": f"bad key {KEY} or so"}})
    with serve(lambda messages, body: (status, words)) as server:
        model = OpenAICompatible(server.url, "small", api_key=KEY)
        with pytest.raises(ModelError, match=rf"{status}: .*bad key \[key\] or so") as caught:
            await model.complete(REQUEST)
    assert not caught.value.retryable
    assert len(server.requests) == 1
    assert KEY not in str(caught.value) + repr(model)


@pytest.mark.parametrize(
    "words", ["not JSON", "[]", "{}", '{"choices": []}', '{"choices": [{"message": {"content": null}}]}', '"text"']
)
async def test_an_answer_of_another_shape_is_an_error(words: str) -> None:
    with (
        serve(lambda messages, body: (200, words)) as server,
        pytest.raises(ModelError, match="not an answer of the chat protocol") as caught,
    ):
        await OpenAICompatible(server.url, "small").complete(REQUEST)
    assert not caught.value.retryable
    assert len(server.requests) == 1


async def test_an_answer_without_usage_counts_as_a_call() -> None:
    def reply(messages: Any, body: Any) -> Reply:
        answer = chat_answer("fine", body)
        del answer["usage"]
        return 200, json.dumps(answer)

    with serve(reply) as server:
        assert (await OpenAICompatible(server.url, "small").complete(REQUEST)).usage == Usage(calls=1)


async def test_a_late_answer_is_a_time_out() -> None:
    with (
        serve(lambda messages, body: "late", latency_s=0.5) as server,
        pytest.raises(ModelError, match=r"no answer within 0.05 s") as caught,
    ):
        await OpenAICompatible(server.url, "small", timeout_s=0.05, retries=0).complete(REQUEST)
    assert caught.value.retryable


async def test_nobody_there_is_retryable() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ModelError, match="ConnectError") as caught:
        await OpenAICompatible(f"http://127.0.0.1:{port}/v1", "small", retries=0).complete(REQUEST)
    assert caught.value.retryable


async def test_concurrency_is_bounded_and_connections_are_kept() -> None:
    with serve(lambda messages, body: "fine", latency_s=0.01) as server:
        model = OpenAICompatible(server.url, "small", max_concurrency=3)
        answers = await asyncio.gather(*(model.complete(REQUEST) for _ in range(12)))
    assert len(answers) == 12
    assert server.most_open <= 3
    assert server.connections <= 3


def test_one_model_serves_several_event_loops_and_leaves_nothing_open() -> None:
    with serve(lambda messages, body: "fine") as server:
        model = OpenAICompatible(server.url, "small")

        async def twice() -> list[str]:
            return [answer.text for answer in await asyncio.gather(model.complete(REQUEST), model.complete(REQUEST))]

        assert asyncio.run(twice()) == ["fine", "fine"]
        assert asyncio.run(twice()) == ["fine", "fine"]
    gc.collect()  # an open connection would warn here, and warnings are errors
