"""Typed answers: the schema is sent, the answer is read, what does not fit is the policy's fault."""

import subprocess
import sys
from typing import Any

import pytest
from pydantic import BaseModel, Field

from tests.support.scripted import ScriptedCritic, ScriptedModel, last
from textgrad_rl_graphs.backward import backward
from textgrad_rl_graphs.errors import ConfigError, PolicyFaultError
from textgrad_rl_graphs.feedback import Feedback
from textgrad_rl_graphs.graph import Graph
from textgrad_rl_graphs.node import LLM, Function
from textgrad_rl_graphs.prompt import Prompt
from textgrad_rl_graphs.refine import Refine, refine
from textgrad_rl_graphs.structured import read_answer, schema_of
from textgrad_rl_graphs.trace import Replay
from textgrad_rl_graphs.types import Completion
from textgrad_rl_graphs.value import Value


class Step(BaseModel):
    text: str
    cost: int = Field(ge=0)


class Plan(BaseModel):
    title: str
    steps: list[Step]


GOOD = '{"title": "sum", "steps": [{"text": "add", "cost": 2}, {"text": "carry", "cost": 3}]}'
BAD = '{"title": "sum", "steps": [{"text": "add", "cost": -2}, {"cost": 3}]}'


class Planner(Graph):
    """Plans as a typed answer, adds its costs up in Python, and has the plan read out."""

    def __init__(self, model: ScriptedModel) -> None:
        self.plan = LLM(model, system=Prompt("Plan."), template="{question}", output=Plan)
        self.cost = Function(lambda plan: sum(step.cost for step in plan.steps), effects="none")
        self.tell = LLM(ScriptedModel(last), template="{plan} costs {cost}")

    async def forward(self, question: Value) -> Value:
        plan = await self.plan(question=question)
        return await self.tell(plan=plan, cost=await self.cost(plan))


def test_the_schema_is_sent_and_the_instance_flows_on() -> None:
    model = ScriptedModel(lambda _: GOOD)
    trace = Planner(model).run({"question": "q"})
    assert model.log[0].schema == Plan.model_json_schema()
    plan = next(iter(trace.calls.values())).output
    assert plan is not None
    assert plan.data == Plan.model_validate_json(GOOD)
    assert plan.text == GOOD
    assert trace.output is not None
    assert trace.output.text == f"{GOOD} costs 5"


@pytest.mark.parametrize("text", [f"```json\n{GOOD}\n```", f"Here it is: {GOOD} Good luck!", f" {GOOD}\n"])
def test_json_is_found_in_what_stands_around_it(text: str) -> None:
    assert read_answer(Plan, text) == Plan.model_validate_json(GOOD)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BAD, r"no valid Plan: steps\.0\.cost: .*greater than or equal to 0; steps\.1\.text: Field required"),
        ("", "has to be a Plan as JSON: no JSON object in the answer ''"),
        ("I'd rather not.", "no JSON object in the answer \"I'd rather not"),
        (GOOD[:40], "has to be a Plan as JSON|no valid Plan"),
        ("[1, 2]", "no valid Plan: the whole: "),
        ("{" * 100_000, "has to be a Plan as JSON"),
        ('{"title": "t", "steps": ' + str([{}] * 9).replace("'", '"') + "}", "and 13 more"),
    ],
    ids=["fields", "empty", "prose", "cut off", "list", "long", "many"],
)
def test_what_does_not_fit_is_named_by_its_fields(text: str, message: str) -> None:
    with pytest.raises(PolicyFaultError, match=message):
        read_answer(Plan, text)


@pytest.mark.parametrize("dialect", ["json", "plain"])
def test_an_answer_that_does_not_fit_is_the_policys_fault_and_is_kept(dialect: Any) -> None:
    trace = Planner(ScriptedModel(lambda _: BAD, dialect=dialect)).run({"question": "q"})
    assert trace.output is None
    assert trace.failure is not None
    assert (trace.failure.where, trace.failure.kind) == ("plan", "policy")
    assert "steps.0.cost" in trace.failure.reason
    (call,) = trace.calls.values()
    assert call.text == BAD
    assert trace.usage.calls == 1


def test_a_replay_reads_the_answer_again() -> None:
    model = ScriptedModel(lambda _: GOOD)
    graph = Planner(model)
    source = graph.run({"question": "q"})
    tell = list(source.calls)[-1]
    again = graph.run({"question": "q"}, replay=Replay(source, {tell: Completion(text="done")}))
    assert again.replayed == 2
    assert len(model.log) == 1
    plan = next(iter(again.calls.values())).output
    assert plan is not None
    assert isinstance(plan.data, Plan)
    assert plan.text == GOOD


def test_a_broken_answer_is_critiqued_and_refined() -> None:
    model = ScriptedModel(lambda request: GOOD if request.role == "refine" else BAD)
    trace = Planner(model).run({"question": "q"})
    assert trace.failure is not None
    feedback = Feedback(score=0.0, correct=False, critique=trace.failure.reason, fault="policy")
    adviser = ScriptedModel(lambda _: '{"system": "Costs are at least 0."}')
    gradients = backward([trace], [feedback], model=adviser)
    assert f"<response>\n{BAD}\n</response>" in last(adviser.log[0])
    assert gradients.prompts["plan.system"].text == "Costs are at least 0."
    critic = ScriptedCritic(lambda case: Feedback(score=1.0, correct=True))
    (item,) = refine([trace], gradients, critic, plan=Refine())
    asked = model.asked("refine")[0]
    assert asked.schema == Plan.model_json_schema()
    assert BAD in last(asked)
    assert item.trace is not None
    assert item.trace.output is not None
    assert item.trace.output.text == f"{GOOD} costs 5"


def test_the_graph_layer_does_not_load_pydantic() -> None:
    code = "import sys, textgrad_rl_graphs; sys.exit('pydantic' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_output_takes_a_pydantic_model() -> None:
    with pytest.raises(ConfigError, match=r"output=.*pydantic model class.*got <class 'dict'>"):
        LLM(ScriptedModel(last), output=dict)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="pydantic model class"):
        schema_of(Step(text="a", cost=1))  # type: ignore[arg-type]
