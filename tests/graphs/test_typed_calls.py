"""The calls of a training step over HTTP: which schema they carry, and what those that fail cost."""

import json
import re
from typing import Any

import pytest

import textgrad_rl as tgr
from tests.support.openai_server import Reply, serve
from textgrad_rl_graphs.trace import Trace

WRONG = tgr.Feedback(score=0.0, correct=False, critique="Wrong.")
Schema = dict[str, Any]


class Stages(tgr.Graph):
    """A plan and a solution."""

    def __init__(self, model: Any) -> None:
        self.plan = tgr.LLM(model, system=tgr.Prompt("Plan."))
        self.solve = tgr.LLM(model, system=tgr.Prompt("Solve."), template="{question} {plan}")

    async def forward(self, question: Any) -> Any:
        return await self.solve(question=question, plan=await self.plan(question=question))


def run(url: str, questions: int = 1) -> tuple[list[Trace], tgr.Model]:
    model = tgr.load_model(f"{url}#small")
    traces = Stages(model).run_many([{"question": f"{number}?"} for number in range(questions)])
    return traces, model


def fields(body: Schema) -> list[str] | None:
    """The fields that a request's schema asks for."""
    form = body.get("response_format")
    return None if form is None else form["json_schema"]["schema"]["required"]


def answers(messages: Any, body: Schema) -> str:
    asked = re.findall(r'<cause name="(.*?)"', messages[-1]["content"])
    return json.dumps(dict.fromkeys(asked, "Carry.")) if asked else "It is 3."


def test_every_backward_call_asks_for_a_text_per_cause() -> None:
    with serve(answers) as server:
        traces, model = run(server.url)
        gradients = tgr.backward(traces, [WRONG], model=model)
    assert [fields(seen.body) for seen in server.requests] == [None, None, ["system", "input.plan"], ["system"]]
    assert {path: gradient.text for path, gradient in gradients.prompts.items()} == {
        "plan.system": "Carry.",
        "solve.system": "Carry.",
    }


def test_a_server_without_structured_outputs_is_asked_once_too_often() -> None:
    def reply(messages: Any, body: Schema) -> Reply:
        return (400, "response_format is not supported") if "response_format" in body else answers(messages, body)

    with serve(reply) as server:
        traces, model = run(server.url)
        with pytest.warns(UserWarning, match="without a schema"):
            gradients = tgr.backward(traces, [WRONG], model=model)
    assert len(gradients.prompts) == 2
    assert len(server.requests) == 2 + 1 + 2


def test_an_answer_that_does_not_fit_is_asked_for_again_and_paid() -> None:
    bad = iter(["no", '{"other": "x"}'])

    def reply(messages: Any, body: Schema) -> Reply:
        return next(bad, answers(messages, body)) if fields(body) else answers(messages, body)

    with serve(reply) as server:
        traces, model = run(server.url)
        gradients = tgr.backward(traces, [WRONG], model=model)
    assert len(gradients.prompts) == 2
    assert gradients.usage.calls == len(server.requests) - 2 == 4


def test_a_call_that_fails_for_good_is_paid_too() -> None:
    with serve(lambda messages, body: "no") as server:
        traces, model = run(server.url)
        gradients = tgr.backward(traces, [WRONG], model=model, retries=1)
    assert len(gradients.failed) == 1
    assert gradients.usage.calls == 2


def test_a_critic_asks_for_critique_and_verdict_and_tells_what_its_failures_cost() -> None:
    said = json.dumps({"critique": "It is 4.", "verdict": "wrong"})
    for reply, usage, verdict in ((said, 1, False), ("Hm.", 3, None)):
        with serve(lambda messages, body, reply=reply: reply) as server:
            traces, model = run(server.url)
            judge = tgr.critics.ChainOfThought(model, sees="nothing")
            (feedback,) = judge.critique([tgr.Case.of(trace) for trace in traces])
        assert fields(server.requests[-1].body) == ["critique", "verdict"]
        assert (feedback.correct, feedback.usage.calls) == (verdict, usage)
