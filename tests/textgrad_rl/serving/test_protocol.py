import json
from typing import Any

import pytest

from textgrad_rl.models.chat_completions import chat_body, read_completion
from textgrad_rl.models.streaming import Delta
from textgrad_rl.serving.protocol import AnswerChunks, RefusedError, answer_body, read_body
from textgrad_rl_graphs.types import Completion, Image, Message, Request, Sampling, Usage

PIXEL = "data:image/png;base64,aGVsbG8="


def body(**fields: Any) -> Any:
    question = {"model": "m", "messages": [{"role": "user", "content": "6 * 7?"}]}
    return read_body(json.dumps({**question, **fields}).encode())


def refusal(**fields: Any) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        body(**fields).request()
    return caught.value


def test_a_request_of_ours_comes_back_as_it_was() -> None:
    sampling = Sampling(temperature=0.5, max_tokens=9, top_p=0.9, stop=("END", "."), top_k=4)
    messages = (Message("system", "Be brief."), Message("user", "What is it?", (Image(b"hello"),)))
    request = Request(messages=messages, sampling=sampling, seed=7, schema={"type": "object", "title": "t"})
    assert read_body(json.dumps(chat_body("m", request)).encode()).request() == request


def test_other_ways_to_say_the_same() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    messages = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": parts, "name": "ann"}]
    request = body(messages=messages, max_completion_tokens=3, stop="x", response_format={"type": "json_object"})
    request = request.request()
    assert request.messages == (Message("system", "Be brief."), Message("user", "a\nb"))
    assert request.sampling == Sampling(max_tokens=3, stop=("x",))
    assert request.schema == {"type": "object"}


@pytest.mark.parametrize(
    "harmless",
    [
        {"tools": []},
        {"tool_choice": None},
        {"presence_penalty": 0},
        {"top_logprobs": 0},
        {"user": "ann"},
        {"store": True},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_fields_that_change_nothing_are_taken(harmless: dict[str, Any]) -> None:
    assert body(**harmless).request() == body().request()


@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({"tools": [{"type": "function"}]}, "tools", "tell of them in a message"),
        ({"min_p": 0.1}, "min_p", "not supported"),
        ({"top_k": 0}, None, "top_k must be >= 1"),
        ({"messages": []}, "messages", "at least 1"),
        ({"messages": "hi"}, "messages", "array"),
        ({"messages": [{"role": "robot", "content": "hi"}]}, "messages.0.role", "'user'"),
        ({"messages": [{"role": "user", "content": None}]}, "messages.0.content", "string"),
        ({"messages": [{"role": "user", "content": "a", "tool_calls": [1]}]}, "messages.0.tool_calls", "not supported"),
        ({"temperature": "hot"}, "temperature", "number"),
        ({"temperature": -1}, None, "temperature must be >= 0"),
        ({"max_tokens": 0}, None, "max_tokens must be >= 1"),
        ({"n": 0}, "n", "greater than or equal to 1"),
        ({"response_format": {"type": "json_schema"}}, "response_format", "json_schema is missing"),
    ],
)
def test_what_cannot_be_followed_is_refused(fields: dict[str, Any], param: str | None, words: str) -> None:
    error = refusal(**fields)
    assert (error.status, error.param) == (400, param)
    assert words in str(error)
    assert error.body()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("url", ["https://example.org/a.png", "data:image/png;base64,%%%"])
def test_images_come_inside_the_request(url: str) -> None:
    parts = [{"type": "image_url", "image_url": {"url": url}}]
    assert "messages.0.content" in str(refusal(messages=[{"role": "user", "content": parts}]))
    parts[0]["image_url"] = {"url": PIXEL}
    request = body(messages=[{"role": "user", "content": parts}]).request()
    assert request.messages[0].images == (Image(b"hello", "image/png"),)


@pytest.mark.parametrize("data", [b"", b"{", b"[1]", b"\xff\xfe"])
def test_a_body_that_is_no_json_object_is_refused(data: bytes) -> None:
    with pytest.raises(RefusedError, match="the body"):
        read_body(data)


ANSWER = Completion(
    text=" It is 42. ", finish_reason="length", usage=Usage(5, 3, calls=1),
    prompt_ids=(1, 2), output_ids=(4, 5, 6), logprobs=(-0.5, -0.25, 0.0),
)  # fmt: skip


def test_an_answer_carries_tokens_as_sampled() -> None:
    said = answer_body(body(logprobs=True, return_token_ids=True), [ANSWER], lambda id_: f"<{id_}>")
    (choice,) = said["choices"]
    assert choice["message"] == {"role": "assistant", "content": " It is 42. "}
    assert [(item["token"], item["logprob"]) for item in choice["logprobs"]["content"]] == [
        ("<4>", -0.5), ("<5>", -0.25), ("<6>", 0.0),
    ]  # fmt: skip
    read = read_completion(said, "m")
    assert (read.prompt_ids, read.output_ids, read.logprobs) == (ANSWER.prompt_ids, ANSWER.output_ids, ANSWER.logprobs)
    assert (read.text, read.finish_reason, read.usage) == (ANSWER.text, "length", ANSWER.usage)


def test_log_probs_of_a_model_that_does_not_tell_are_null() -> None:
    assert answer_body(body(logprobs=True), [Completion(text="x")], None)["choices"][0]["logprobs"] is None


def test_several_choices_read_their_prompt_once() -> None:
    said = answer_body(body(n=2), [ANSWER, ANSWER], None)
    assert [choice["index"] for choice in said["choices"]] == [0, 1]
    assert said["usage"] == {"prompt_tokens": 5, "completion_tokens": 6, "total_tokens": 11}


@pytest.mark.parametrize("streamed", [0, 1, 4])
@pytest.mark.parametrize("text", ["", " ", "a", " It is\n\n 42. "])
def test_a_stream_puts_the_text_together_again(text: str, streamed: int) -> None:
    answer = Completion(text=text, usage=Usage(5, 3, calls=1))
    stream = AnswerChunks(body(stream=True, stream_options={"include_usage": True}), None)
    chunks = [*stream.of(0, Delta(text[:streamed], (), ())), *stream.of(0, answer)]
    (last,) = stream.last([answer])
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert "".join(delta.get("content", "") for delta in deltas) == text
    assert [delta.get("role") for delta in deltas] == ["assistant"] + [None] * (len(deltas) - 1)
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None] * (len(chunks) - 1) + ["stop"]
    assert {chunk["usage"] for chunk in chunks} == {None}
    assert (last["choices"], last["usage"]["total_tokens"]) == ([], 8)


@pytest.mark.parametrize("streamed", [0, 2, 3])
def test_a_stream_carries_every_token_once(streamed: int) -> None:
    stream = AnswerChunks(body(stream=True, logprobs=True, return_token_ids=True), None)
    deltas = [Delta("", ANSWER.output_ids[i : i + 1], ANSWER.logprobs[i : i + 1]) for i in range(streamed)]
    everything: list[Delta | Completion] = [*deltas, ANSWER]
    chunks = [chunk for news in everything for chunk in stream.of(0, news)]
    choices = [chunk["choices"][0] for chunk in chunks]
    assert [id_ for choice in choices for id_ in choice.get("token_ids", ())] == [4, 5, 6]
    told = [choice["logprobs"]["content"] for choice in choices if choice.get("logprobs")]
    assert [token["logprob"] for tokens in told for token in tokens] == [-0.5, -0.25, 0.0]
    assert chunks[-1]["prompt_token_ids"] == [1, 2]
    assert list(stream.last([ANSWER])) == []


def test_a_stream_never_hides_that_the_answer_is_another_one() -> None:
    stream = AnswerChunks(body(stream=True), None)
    list(stream.of(0, Delta("It is 41", (), ())))
    with pytest.raises(ValueError, match="another one"):
        list(stream.of(0, Completion(text="It is 42")))
