import json
from typing import Any

import pytest

from tests.support.openai_server import Reply, serve
from textgrad_rl.models import load_model
from textgrad_rl_graphs.errors import ModelError
from textgrad_rl_graphs.model import Model
from textgrad_rl_graphs.types import Message, Request

SCHEMA = {"type": "object", "properties": {"sum": {"type": "integer"}}}
REQUEST = Request(messages=(Message("user", "1 + 1"),), schema=SCHEMA)
REFUSAL = 400, json.dumps({"error": {"message": "response_format is not supported"}})


def backend(kind: str, url: str) -> Model:
    if kind == "litellm":
        return load_model("litellm:openai/gpt-4o-mini", api_base=url, api_key="stub")
    return load_model(f"{url}#gpt-4o-mini")


@pytest.mark.parametrize("kind", ["openai_compatible", "litellm"])
async def test_a_server_that_refuses_a_schema_is_asked_without_and_remembered(kind: str) -> None:
    def reply(messages: Any, body: Any) -> Reply:
        return REFUSAL if "response_format" in body else '{"sum": 2}'

    with serve(reply) as server:
        model = backend(kind, server.url)
        with pytest.warns(UserWarning, match=r"without a schema .*response_format is not supported"):
            first = await model.complete(REQUEST)
        second = await model.complete(REQUEST)
    assert (first.text, second.text) == ('{"sum": 2}', '{"sum": 2}')
    assert ["response_format" in seen.body for seen in server.requests] == [True, False, False]
    assert server.requests[0].body["response_format"]["json_schema"]["schema"] == SCHEMA


async def test_a_request_that_is_bad_for_another_reason_fails_in_the_first_words() -> None:
    def reply(messages: Any, body: Any) -> Reply:
        return (400, "too long, with schema") if "response_format" in body else (400, "too long")

    with serve(reply) as server:
        model = backend("openai_compatible", server.url)
        for _ in range(2):
            with pytest.raises(ModelError, match="400: too long, with schema") as caught:
                await model.complete(REQUEST)
            assert not caught.value.retryable
    assert len(server.requests) == 4  # not remembered


async def test_one_schema_that_is_refused_says_nothing_of_another() -> None:
    def reply(messages: Any, body: Any) -> Reply:
        return REFUSAL if "sum" in json.dumps(body.get("response_format")) else "{}"

    with serve(reply) as server:
        model = backend("openai_compatible", server.url)
        with pytest.warns(UserWarning, match="without a schema"):
            await model.complete(REQUEST)
        await model.complete(Request(messages=REQUEST.messages, schema={"type": "object"}))
    assert "response_format" in server.requests[-1].body
