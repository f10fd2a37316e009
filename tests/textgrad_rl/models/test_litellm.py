import asyncio
import gc
import os

import pytest

from tests.support.openai_server import serve
from textgrad_rl.models import load_model
from textgrad_rl_graphs.errors import ModelError
from textgrad_rl_graphs.types import Message, Request, Sampling

REQUEST = Request(messages=(Message("user", "who are you"),), seed=7, sampling=Sampling(max_tokens=9, stop=("END",)))
KEY = "sk-very-secret-key"


def test_calls_go_through_litellm_on_every_event_loop() -> None:
    with serve(lambda messages, body: messages[-1]["content"].upper()) as server:
        model = load_model("litellm:openai/stub", api_base=server.url, api_key=KEY)
        for _ in range(2):
            answer = asyncio.run(_complete(model))
            assert (answer.text, answer.model) == ("WHO ARE YOU", "litellm:openai/stub")
            assert (answer.usage.prompt_tokens, answer.usage.generated_tokens, answer.usage.calls) == (3, 3, 1)
    assert os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] == "True"
    body = server.requests[0].body
    assert (body["model"], body["seed"], body["max_tokens"], body["stop"]) == ("stub", 7, 9, ["END"])
    gc.collect()  # an open connection would warn here, and warnings are errors


async def _complete(model):  # type: ignore[no-untyped-def]
    return await model.complete(REQUEST)


async def test_a_known_model_has_its_price() -> None:
    with serve(lambda messages, body: "fine") as server:
        known = load_model("litellm:openai/gpt-4o-mini", api_base=server.url, api_key=KEY)
        unknown = load_model("litellm:openai/stub", api_base=server.url, api_key=KEY)
        assert (await known.complete(REQUEST)).usage.usd > 0
        assert (await unknown.complete(REQUEST)).usage.usd == 0


async def test_failures_that_may_pass_are_tried_again_once_each() -> None:
    replies = iter([(500, "boom", {"retry-after": "0.01"}), (429, "slow down", {"retry-after": "0.01"}), "fine"])
    with serve(lambda messages, body: next(replies)) as server:
        model = load_model("litellm:openai/stub", api_base=server.url, api_key=KEY)
        assert (await model.complete(REQUEST)).text == "fine"
    assert len(server.requests) == 3


async def test_a_refused_key_fails_at_once_in_the_servers_words_and_without_the_key() -> None:
    with serve(lambda messages, body: (401, f'{{"error": {{"message": "no such key {KEY}"}}}}')) as server:
        model = load_model("litellm:openai/stub", api_base=server.url, api_key=KEY)
        with pytest.raises(ModelError, match="no such key") as caught:
            await model.complete(REQUEST)
    assert not caught.value.retryable
    assert len(server.requests) == 1
    assert KEY not in str(caught.value) + repr(model)
