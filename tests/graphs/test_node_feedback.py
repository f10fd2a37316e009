"""Critics on inner nodes: who is judged, what of it reaches the prompts, and what it costs."""

import json
import re

import pytest

from tests.support.scripted import ScriptedCritic, ScriptedModel, last
from textgrad_rl_graphs.backward import backward
from textgrad_rl_graphs.errors import ConfigError, ModelError, PolicyFaultError
from textgrad_rl_graphs.feedback import Feedback
from textgrad_rl_graphs.graph import Graph
from textgrad_rl_graphs.node import LLM, Function
from textgrad_rl_graphs.node_feedback import judge_nodes
from textgrad_rl_graphs.prompt import Prompt

RIGHT = Feedback(score=1.0, correct=True, critique="Well planned.")
VAGUE = Feedback(score=0.0, correct=False, critique="The plan is vague.")
WRONG = Feedback(score=0.0, correct=False, critique="The result is off.")
FAILED = Feedback(score=None, critique="the judge was down", fault="critic")


class Two(Graph):
    """A plan with a critic of its own, and what is made of it."""

    def __init__(self, critic, solver=lambda request: "solution", planner=lambda request: "plan"):
        self.plan = LLM(ScriptedModel(planner), system=Prompt("Plan."), template="{question}", critic=critic)
        self.solve = LLM(ScriptedModel(solver), system=Prompt("Solve."), template="{plan}")

    async def forward(self, question):
        return await self.solve(plan=await self.plan(question=question))


def advise(request):
    """Say of every cause what was said of the response."""
    said = re.search(r"<critique>\n(.*?)\n</critique>", last(request), re.DOTALL)[1]
    return json.dumps({name: f"for {name}: {said}" for name in re.findall(r'<cause name="(.*?)"', last(request))})


def flow(feedback, inner, **graph):
    """Return the graph's gradients and the model that was asked for them."""
    model = ScriptedModel(advise)
    trace = Two(ScriptedCritic(lambda case: inner), **graph).run({"question": "q"})
    return trace, backward([trace], [feedback], nodes=judge_nodes([trace]), model=model), model


class Batches(ScriptedCritic):
    """Counts how many cases it gets at a time."""

    async def acritique(self, cases, *, critiques=True):
        self.sizes = [*getattr(self, "sizes", []), len(cases)]
        return await super().acritique(cases, critiques=critiques)


def test_each_critic_is_asked_once_about_all_calls_of_its_nodes():
    critic = Batches(lambda case: VAGUE)
    traces = Two(critic).run_many([{"question": "a"}, {"question": "b"}], samples=2)
    found = judge_nodes(traces)
    assert len(found) == 4
    assert critic.sizes == [4]
    assert set(found) == {(trace.id, trace.ordered()[0].key) for trace in traces}
    cases = [case for case, critiques in critic.seen if critiques]
    assert [case.text for case in cases] == ["plan"] * 4
    assert len({case.group for case in cases}) == 2
    assert all(case.group == f"{case.trace.group}/plan" for case in cases)


def test_scores_alone_where_no_critiques_are_wanted():
    critic = ScriptedCritic(lambda case: VAGUE)
    judge_nodes([Two(critic).run({"question": "q"})], critiques=False)
    assert [critiques for _, critiques in critic.seen] == [False]


def test_an_inner_critique_reaches_the_prompt_of_its_node():
    _, gradients, model = flow(RIGHT, VAGUE)
    assert gradients.prompts["plan.system"].text == "for system: The plan is vague."
    assert "solve.system" not in gradients.prompts  # the output is right
    assert len(model.log) == 1


def test_it_joins_what_comes_from_downstream_in_one_call():
    trace, gradients, model = flow(WRONG, VAGUE)
    plan = trace.ordered()[0].key
    assert len(model.log) == 2  # one per node, as without a critic on the plan
    assert set(gradients.values[trace.id, plan].text.splitlines()) == {
        "for input.plan: The result is off.", "The plan is vague."
    }  # fmt: skip
    assert "The plan is vague." in last(model.log[-1])
    assert "The result is off." in last(model.log[-1])


@pytest.mark.parametrize("silent", [RIGHT, FAILED, Feedback(score=0.0, correct=False)])
def test_praise_silence_and_faults_of_the_critic_add_nothing(silent):
    trace, gradients, _ = flow(WRONG, silent)
    _, without, _ = flow(WRONG, Feedback(score=0.0))
    assert gradients.values[trace.id, trace.ordered()[0].key].text == "for input.plan: The result is off."
    assert {path: item.text for path, item in gradients.prompts.items()} == {
        path: item.text for path, item in without.prompts.items()
    }


def test_a_repeated_backward_asks_nothing_again():
    trace, gradients, model = flow(WRONG, VAGUE)
    nodes = {(trace.id, trace.ordered()[0].key): VAGUE}
    assert backward([trace], [WRONG], nodes=nodes, model=model, done=gradients).edges == gradients.edges
    assert len(model.log) == 2


def test_a_critic_of_the_last_node_joins_the_critique_of_the_output():
    class One(Graph):
        def __init__(self):
            self.solve = LLM(
                ScriptedModel(lambda request: "s"), system=Prompt("Solve."), critic=ScriptedCritic(lambda case: VAGUE)
            )

        async def forward(self, question):
            return await self.solve(question=question)

    trace, model = One().run({"question": "q"}), ScriptedModel(advise)
    gradients = backward([trace], [WRONG], nodes=judge_nodes([trace]), model=model)
    assert len(model.log) == 1
    assert set(gradients.values[trace.id, trace.output.key].text.splitlines()) == {WRONG.critique, VAGUE.critique}


def test_a_failed_run_has_the_answers_it_got_so_far_judged():
    critic = ScriptedCritic(lambda case: VAGUE)
    trace = Two(critic, solver=lambda request: ModelError("the server is down")).run({"question": "q"})
    assert trace.failure.kind == "infrastructure"
    found = judge_nodes([trace])
    assert [case.text for case, _ in critic.seen] == ["plan"]
    model = ScriptedModel(advise)
    gradients = backward([trace], [FAILED], nodes=found, model=model)
    assert gradients.prompts["plan.system"].text == "for system: The plan is vague."
    unanswered = Two(critic, planner=lambda request: ModelError("the server is down")).run({"question": "q"})
    assert judge_nodes([unanswered]) == {}


def test_an_inner_answer_that_cannot_be_used_is_a_policy_fault():
    from pydantic import BaseModel

    from textgrad_rl_critics import Verifier

    class Plan(BaseModel):
        steps: list[str]

    class Typed(Graph):
        def __init__(self, text):
            self.plan = LLM(ScriptedModel(lambda request: text), output=Plan, critic=Verifier(lambda *_: True))

        async def forward(self, question):
            return await self.plan(question=question)

    (unusable,) = judge_nodes([Typed("no JSON").run({"question": "q"})]).values()
    assert (unusable.score, unusable.fault) == (0.0, "policy")
    assert "plan" in unusable.critique
    (usable,) = judge_nodes([Typed('{"steps": []}').run({"question": "q"})]).values()
    assert (usable.score, usable.fault) == (1.0, None)


def test_calls_of_a_loop_and_nodes_that_failed_behind_them():
    class Loop(Graph):
        def __init__(self, critic):
            self.step = LLM(ScriptedModel(lambda request: last(request) + "+"), template="{text}", critic=critic)
            self.tool = Function(self._refuse, effects="none")

        @staticmethod
        def _refuse(text):
            raise PolicyFaultError("no")

        async def forward(self, text):
            for _ in range(3):
                text = await self.step(text=text)
            return await self.tool(text)

    critic = ScriptedCritic(lambda case: VAGUE)
    assert len(judge_nodes([Loop(critic).run({"text": ""})])) == 3
    assert [case.text for case, _ in critic.seen] == ["+", "++", "+++"]


def test_what_is_no_critic_is_refused():
    with pytest.raises(ConfigError, match="needs a critic"):
        LLM(ScriptedModel(str), critic="strict")
