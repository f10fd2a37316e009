import asyncio
import gc
import json
import socket
from typing import Any

import pytest

from tests.support.openai_server import Cut, Reply, chat_answer, serve
from textgrad_rl.models import OpenAICompatible
from textgrad_rl_graphs.errors import ConfigError, ModelError
from textgrad_rl_graphs.types import Image, Message, Request, Sampling, Usage

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
        pytest.raises(ModelError, match=r"503: overloaded .*after attempt 3") as caught,
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
    "words",
    ["not JSON", '{"choices": [{"mess', "[]", "{}", '{"choices": []}', '"text"', "[" * 100_000],
    ids=["words", "cut", "list", "nothing", "no-choice", "text", "deep"],
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
    with pytest.raises(ModelError, match="Cannot connect") as caught:
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


async def test_a_server_that_falls_silent_in_mid_answer_is_a_time_out() -> None:
    with (
        serve(lambda messages, body: Cut("late", 20, silent_s=0.5)) as server,
        pytest.raises(ModelError, match=r"no answer within 0.1 s") as caught,
    ):
        await OpenAICompatible(server.url, "small", timeout_s=0.1, retries=0).complete(REQUEST)
    assert caught.value.retryable


async def test_a_connection_lost_in_mid_answer_is_tried_again() -> None:
    with serve(failing_first(2, Cut("lost", 20))) as server:
        assert (await OpenAICompatible(server.url, "small").complete(REQUEST)).text == "fine"
    assert len(server.requests) == 3


async def test_an_answer_may_be_long_empty_or_cut_off() -> None:
    def reply(messages: Any, body: Any) -> Reply:
        text = "x" * body["max_tokens"]
        answer = chat_answer(text, body)
        answer["choices"][0]["finish_reason"] = "length" if text else "stop"
        return 200, json.dumps(answer) if text else json.dumps(answer).replace('"content": ""', '"content": null')

    with serve(lambda messages, body: "" if body["max_tokens"] == 1 else "x" * 100_000) as server:
        model = OpenAICompatible(server.url, "small")
        long = await model.complete(Request(messages=REQUEST.messages, sampling=Sampling(max_tokens=2)))
        empty = await model.complete(Request(messages=REQUEST.messages, sampling=Sampling(max_tokens=1)))
    assert (len(long.text), empty.text) == (100_000, "")
    with serve(reply) as server:
        cut = await OpenAICompatible(server.url, "small").complete(
            Request(messages=REQUEST.messages, sampling=Sampling(max_tokens=5))
        )
    assert (cut.text, cut.finish_reason) == ("xxxxx", "length")


@pytest.mark.parametrize(
    ("status", "words", "said", "retryable"),
    [
        (200, '{"error": {"message": "no such model", "code": 404}}', "no such model", False),
        (200, '{"error": {"message": "upstream is busy", "code": 429}}', "upstream is busy", True),
        (200, '{"error": "broken"}', "broken", False),
        (200, "<html><body>Please <b>log in</b></body></html>", "chat protocol .*: Please log in", False),
        (502, "<html><h1>502 Bad Gateway</h1></html>", "status 502: 502 Bad Gateway", True),
        (307, "", "status 307: .no words", False),
        (404, "", "status 404: .no words", False),
    ],
)
async def test_an_error_is_told_in_the_servers_words_wherever_they_stand(
    status: int, words: str, said: str, retryable: bool
) -> None:
    with (
        serve(lambda messages, body: (status, words, {"location": "/elsewhere"})) as server,
        pytest.raises(ModelError, match=said) as caught,
    ):
        await OpenAICompatible(server.url, "small", retries=0).complete(REQUEST)
    assert caught.value.retryable is retryable
    assert "<" not in str(caught.value)


async def test_another_model_that_answers_is_named_once() -> None:
    def reply(messages: Any, body: Any) -> Reply:
        return 200, json.dumps(chat_answer("fine", body | {"model": "large"}))

    with serve(reply) as server:
        model = OpenAICompatible(server.url, "small")
        with pytest.warns(UserWarning, match="answered by another model, 'large'"):
            await model.complete(REQUEST)
        assert (await model.complete(REQUEST)).text == "fine"  # a second warning would be an error


async def test_a_schema_and_images_go_over_the_wire() -> None:
    schema = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    request = Request(messages=(Message("user", "what is it", (Image(b"png"),)),), schema=schema)
    with serve(lambda messages, body: "{}") as server:
        await OpenAICompatible(server.url, "small").complete(request)
    body = server.requests[0].body
    assert body["response_format"]["json_schema"]["schema"] == schema
    assert body["messages"][0]["content"][1]["image_url"]["url"] == "data:image/png;base64,cG5n"


async def test_tokens_and_log_probabilities_are_asked_for_and_read() -> None:
    def reply(messages: Any, body: Any) -> Reply:
        assert body["logprobs"]
        assert body["return_token_ids"]
        answer = chat_answer("fine", body) | {"prompt_token_ids": [1, 2]}
        answer["choices"][0] |= {"token_ids": [7, 8], "logprobs": {"content": [{"logprob": -0.5}, {"logprob": -2}]}}
        return 200, json.dumps(answer)

    with serve(reply) as server:
        answer = await OpenAICompatible(server.url, "small", token_ids=True).complete(REQUEST)
    assert (answer.prompt_ids, answer.output_ids, answer.logprobs) == ((1, 2), (7, 8), (-0.5, -2.0))


async def test_a_call_has_its_price() -> None:
    with serve(lambda messages, body: "fine") as server:
        answer = await OpenAICompatible(server.url, "small", price=(1e6, 2e6)).complete(REQUEST)
    assert answer.usage.usd == 5 + 2


async def test_a_call_that_fails_holds_up_no_other() -> None:
    def reply(messages: Any, body: Any) -> Reply:
        return (503, "busy", {"retry-after": "30"}) if body["seed"] == 0 else "fine"

    with serve(reply) as server:
        model = OpenAICompatible(server.url, "small", max_concurrency=1)
        failing = asyncio.create_task(model.complete(Request(messages=REQUEST.messages, seed=0)))
        async with asyncio.timeout(10):
            answers = await asyncio.gather(*(model.complete(REQUEST) for _ in range(5)))
        assert [answer.text for answer in answers] == ["fine"] * 5
        assert not failing.done()
        failing.cancel()


async def test_a_cancelled_call_frees_its_slot() -> None:
    arrived, loop = asyncio.Event(), asyncio.get_running_loop()

    def reply(messages: Any, body: Any) -> Reply:
        loop.call_soon_threadsafe(arrived.set)
        return Cut("late", 20, silent_s=30) if body["seed"] == 0 else "fine"

    with serve(reply) as server:
        model = OpenAICompatible(server.url, "small", max_concurrency=1)
        hanging = asyncio.create_task(model.complete(Request(messages=REQUEST.messages, seed=0)))
        await arrived.wait()
        hanging.cancel()
        async with asyncio.timeout(10):
            assert (await model.complete(REQUEST)).text == "fine"
        assert hanging.cancelled()


async def test_the_rate_limit_holds_calls_back() -> None:
    with serve(lambda messages, body: "fine") as server:
        model = OpenAICompatible(server.url, "small", requests_per_minute=2)
        first, second, third = (asyncio.create_task(model.complete(REQUEST)) for _ in range(3))
        await asyncio.gather(first, second)
        await asyncio.sleep(0.1)
        assert (third.done(), len(server.requests)) == (False, 2)
        third.cancel()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"max_concurrency": 0}, "max_concurrency must be >= 1"),
        ({"retries": -1}, "retries must be >= 0"),
        ({"timeout_s": 0}, "timeout_s must be > 0"),
        ({"price": (1.0,)}, "price is"),
        ({"tokens_per_minute": 0}, "tokens_per_minute must be >= 1"),
        ({"base_url": "localhost:8000"}, "http://host:8000/v1"),
        ({"base_url": "http://me:word@host", "api_key": "x"}, "both claim the Authorization header"),
    ],
    ids=["concurrency", "retries", "timeout", "price", "tokens", "address", "two-keys"],
)
def test_settings_that_cannot_work_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        OpenAICompatible(**{"base_url": "http://host/v1", "model": "small", **options})
