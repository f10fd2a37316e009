import asyncio
import json
from typing import Any

import pytest

from tests.support.openai_server import Reply, serve
from textgrad_rl.models import load_model
from textgrad_rl.text.textual_gradient_descent import TextualGradientDescent
from textgrad_rl_graphs.errors import ModelError
from textgrad_rl_graphs.gradient import Edge, Gradients, TextGradient
from textgrad_rl_graphs.model import Model
from textgrad_rl_graphs.prompt import Prompt
from textgrad_rl_graphs.roles import BackwardRole, Cause, CritiqueRole, RewriteRole, consult
from textgrad_rl_graphs.types import Message, Request, Sampling

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


# ---- the roles' schemas

CAUSES = [Cause("system", "Solve.", is_prompt=True), Cause("input.plan", "Add.")]
ROLE_SCHEMAS = [BackwardRole().schema("json", CAUSES), CritiqueRole().schema("json"), RewriteRole().schema("json")]


def asking(schema: Any, seed: int = 0) -> Request:
    return Request(messages=REQUEST.messages, schema=schema, seed=seed)


def test_the_plain_dialect_asks_for_no_schema() -> None:
    assert BackwardRole().schema("plain", CAUSES) is CritiqueRole().schema("plain") is RewriteRole().schema("plain")
    assert RewriteRole().schema("plain") is None


async def test_a_server_that_refuses_one_role_s_schema_costs_one_request_for_all_of_them() -> None:
    def reply(messages: Any, body: Any) -> Reply:
        return REFUSAL if "response_format" in body else "{}"

    with serve(reply) as server:
        model = backend("openai_compatible", server.url)
        with pytest.warns(UserWarning, match="without a schema"):
            await model.complete(asking(ROLE_SCHEMAS[0]))
        for schema in (*ROLE_SCHEMAS[1:], SCHEMA, BackwardRole().schema("json", CAUSES[:1])):
            await model.complete(asking(schema))  # and no warning, which would be an error
    assert ["response_format" in seen.body for seen in server.requests] == [True, False, False, False, False, False]


async def test_calls_under_way_at_the_first_refusal_are_refused_once_and_none_after_them() -> None:
    def reply(messages: Any, body: Any) -> Reply:
        return REFUSAL if "response_format" in body else "{}"

    with serve(reply, latency_s=0.1) as server:
        model = backend("openai_compatible", server.url)
        with pytest.warns(UserWarning, match="without a schema") as warned:
            await asyncio.gather(*(model.complete(asking(ROLE_SCHEMAS[0], seed)) for seed in range(8)))
        await asyncio.gather(*(model.complete(asking(ROLE_SCHEMAS[1], seed)) for seed in range(8)))
    assert len(warned) == 1
    assert sum("response_format" in seen.body for seen in server.requests) <= 8
    assert not any("response_format" in seen.body for seen in server.requests[-8:])


async def test_a_backward_question_carries_a_strict_schema_of_its_causes() -> None:
    role = BackwardRole()
    with serve(lambda messages, body: '{"system": "Carry.", "input.plan": ""}') as server:
        model = backend("openai_compatible", server.url)
        answer = await consult(
            model, "backward",
            role.render("json", causes=CAUSES, messages=REQUEST.messages, response="3", critique="Wrong."),
            lambda text: role.parse("json", text, causes=CAUSES, critique="Wrong."),
            seed_for=int, sampling=Sampling(), schema=role.schema("json", CAUSES),
        )  # fmt: skip
    assert answer.result == {"system": "Carry."}
    assert server.requests[0].body["response_format"] == {
        "type": "json_schema",
        "json_schema": {
            "name": "answer",
            "schema": {
                "type": "object",
                "properties": {"system": {"type": "string"}, "input.plan": {"type": "string"}},
                "required": ["system", "input.plan"],
                "additionalProperties": False,
            },
            "strict": True,
        },
    }


def test_a_rewrite_carries_its_schema_and_an_answer_that_does_not_fit_is_asked_for_again() -> None:
    answers = iter(["I would rather not.", '{"text": "new"}', '{"prompt": "new"}'])
    gradients = Gradients({Edge("t", "c", "prompt", "a"): TextGradient.of("t/c", "Carry.")})
    with serve(lambda messages, body: next(answers)) as server:
        descent = TextualGradientDescent(model=backend("openai_compatible", server.url))
        (proposal,) = descent.propose({"a": Prompt("old")}, gradients)
    assert (proposal.text, proposal.usage.calls) == ("new", 3)
    asked = [seen.body["response_format"]["json_schema"]["schema"]["required"] for seen in server.requests]
    assert asked == [["prompt"]] * 3
    assert len({seen.body["seed"] for seen in server.requests}) == 3
