import json
from typing import Any

import pytest

from textgrad_rl.models.chat_completions import UNREADABLE, chat_body, is_same_model, read_completion
from textgrad_rl.models.prices import Price
from textgrad_rl_graphs.types import Image, Message, Request, Sampling, Usage

OPEN = {"type": "object", "properties": {"sum": {"type": "integer"}}}
CLOSED = OPEN | {"required": ["sum"], "additionalProperties": False}


def answer(message: Any, **more: Any) -> dict[str, Any]:
    return {"choices": [{"message": message, **more}]}


def test_a_body_holds_what_was_asked_and_nothing_neutral() -> None:
    messages = (Message("user", "one"), Message("assistant", "two"), Message("user", "three"))
    assert chat_body("small", Request(messages=messages, seed=3)) == {
        "model": "small",
        "messages": [
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "two"},
            {"role": "user", "content": "three"},
        ],
        "temperature": 1.0,
        "seed": 3,
    }
    sampling = Sampling(temperature=0, max_tokens=5, top_p=0.5, stop=("END",), top_k=3)
    body = chat_body("small", Request(messages=messages, sampling=sampling))
    assert body["top_k"] == 3
    assert (body["temperature"], body["max_tokens"], body["top_p"], body["stop"]) == (0, 5, 0.5, ["END"])


def test_images_are_parts_of_the_message() -> None:
    images = (Image(b"\x00\x01"), Image(b"jpeg", "image/jpeg"))
    body = chat_body("small", Request(messages=(Message("user", "what is it", images),)))
    assert body["messages"][0]["content"] == [
        {"type": "text", "text": "what is it"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAE="}},
        {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,anBlZw=="}},
    ]


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (CLOSED, True),
        (OPEN, False),
        ({"type": "array", "items": CLOSED}, True),
        ({"type": "array", "items": OPEN}, False),
        ({"anyOf": [CLOSED, OPEN]}, False),
    ],
)
def test_a_schema_is_strict_where_all_its_objects_are_closed(schema: dict[str, Any], strict: bool) -> None:
    request = Request(messages=(), schema={"title": "A sum!", **schema})
    form = chat_body("small", request)["response_format"]
    assert form["type"] == "json_schema"
    assert form["json_schema"] == {"name": "A_sum_", "schema": request.schema, "strict": strict}
    json.dumps(form)


def test_usage_price_and_cached_tokens_are_read() -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 50}}
    found = read_completion(answer({"content": "x"}) | {"usage": usage}, "m", Price(1.0, 10.0, 0.1))
    assert found.usage == Usage(100, 10, calls=1, usd=pytest.approx((50 + 5 + 100) / 1e6))
    assert read_completion(answer({"content": "x"}) | {"usage": "none"}, "m").usage == Usage(calls=1)


@pytest.mark.parametrize(
    ("message", "reason", "text"),
    [
        ({"content": None, "refusal": "I will not."}, "stop", "I will not."),
        ({"content": None, "provider_specific_fields": {"refusal": "No."}}, "stop", "No."),
        ({"content": None, "tool_calls": [{"id": "1"}]}, "tool_calls", ""),
        ({"content": None, "reasoning_content": "hm"}, "length", ""),
        ({"content": ""}, "content_filter", ""),
    ],
)
def test_an_answer_without_content_was_paid_for(message: Any, reason: str, text: str) -> None:
    found = read_completion(answer(message, finish_reason=reason) | {"usage": {"completion_tokens": 7}}, "m")
    assert (found.text, found.finish_reason, found.usage.generated_tokens) == (text, reason, 7)


def test_tokens_and_their_log_probabilities_belong_together() -> None:
    logprobs = {"content": [{"token": "a", "logprob": -0.5}, {"token": "b", "logprob": -1}]}
    told = answer({"content": "ab"}, token_ids=[7, 8], logprobs=logprobs) | {"prompt_token_ids": [1, 2, 3]}
    found = read_completion(told, "m")
    assert (found.prompt_ids, found.output_ids, found.logprobs) == ((1, 2, 3), (7, 8), (-0.5, -1.0))
    told["choices"][0]["token_ids"].append(9)
    with pytest.raises(ValueError, match="3 token ids, but 2 log-probabilities"):
        read_completion(told, "m")
    assert read_completion(answer({"content": "ab"}, logprobs=logprobs), "m").logprobs == ()  # of unknown tokens


@pytest.mark.parametrize(
    "wrong", ["text", 7, None, [], {}, {"choices": []}, {"choices": [None]}, answer("text"), answer({"content": 7})]
)
def test_anything_else_is_unreadable(wrong: Any) -> None:
    with pytest.raises(UNREADABLE):
        read_completion(wrong, "m")


@pytest.mark.parametrize(
    ("asked", "answered", "same"),
    [
        ("gpt-4o", "gpt-4o-2024-08-06", True),
        ("gpt-4", "gpt-4-0613", True),
        ("claude-sonnet-latest", "claude-sonnet-20250514", True),
        ("meta/Llama-3", "llama-3:latest", True),
        ("gpt-4o", "gpt-4o-mini", False),
        ("gpt-4o-2024-08-06", "gpt-4o-2024-11-20", False),
        ("small", "./models/other.gguf", False),
    ],
)
def test_a_model_may_answer_under_a_longer_name(asked: str, answered: str, same: bool) -> None:
    assert is_same_model(asked, answered) is same
