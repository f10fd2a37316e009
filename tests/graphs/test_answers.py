import json

import pytest

from tests.support.scripted import ScriptedModel, echo
from textgrad_rl_graphs.answers import answer_record, question_record, read_answer, request_key
from textgrad_rl_graphs.types import Completion, Image, Message, Request, Sampling, Usage

MODEL = ScriptedModel(echo)


def request(text="hello", **settings):
    return Request(messages=(Message("user", text),), **settings)


@pytest.mark.parametrize(
    "other",
    [
        request("other"),
        request(seed=1),
        request(role="refine"),
        request(history_ids=(1,)),
        request(sampling=Sampling(temperature=0.5)),
        request(sampling=Sampling(max_tokens=3)),
        request(sampling=Sampling(top_p=0.5)),
        request(sampling=Sampling(top_k=5)),
        request(sampling=Sampling(stop=("\n",))),
        request(schema={"type": "object"}),
        Request(messages=(Message("user", "hello", images=(Image(b"a"),)),)),
        Request(messages=(Message("system", "hello"),)),
    ],
)
def test_key_and_record_differ_together(other):
    assert request_key(MODEL, other) != request_key(MODEL, request())
    assert question_record(MODEL, other) != question_record(MODEL, request())
    json.dumps(question_record(MODEL, other))


def test_the_order_of_a_schema_does_not_matter():
    one, other = request(schema={"a": 1, "b": 2}), request(schema={"b": 2, "a": 1})
    assert request_key(MODEL, one) == request_key(MODEL, other)


def test_images_are_told_by_content_and_not_kept():
    shown = question_record(MODEL, Request(messages=(Message("user", "look", images=(Image(b"secret bytes"),)),)))
    assert "secret bytes" not in json.dumps(shown)
    assert shown["messages"][0]["images"] == [str(Image(b"secret bytes"))]


def test_an_answer_comes_back_from_json_as_it_was():
    answer = Completion(
        text="ja \ud83d", finish_reason="length", usage=Usage(3, 4, 1, 0.25), prompt_ids=(1, 2), output_ids=(3,),
        logprobs=(-0.1234567890123,), model="m", weight_version=7,
    )  # fmt: skip
    assert read_answer(json.loads(json.dumps(answer_record(answer)))) == answer
