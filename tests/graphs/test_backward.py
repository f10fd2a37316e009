import asyncio
import json
import re
import time
from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.scripted import ScriptedModel, echo, last, random_latency
from textgrad_rl_graphs.backward import abackward, backward
from textgrad_rl_graphs.errors import ConfigError, GraphError, ModelError
from textgrad_rl_graphs.feedback import Feedback
from textgrad_rl_graphs.graph import Graph, join
from textgrad_rl_graphs.node import LLM, Function
from textgrad_rl_graphs.prompt import Prompt
from textgrad_rl_graphs.trace import Call, Trace
from textgrad_rl_graphs.types import Request
from textgrad_rl_graphs.value import Value
from textgrad_rl_graphs.walk import starts

WRONG = Feedback(score=0.0, correct=False, critique="The result is off.")


def say(name: str) -> ScriptedModel:
    """A frozen model whose answer names the node, so that a backward request shows which call it is about."""
    return ScriptedModel(lambda request: f"[{name}]", name=name)


def trained(name: str) -> LLM:
    return LLM(say(name), system=Prompt(f"Do {name}."), template=" ".join(f"{{{part}}}" for part in INPUTS[name]))


INPUTS = {"plan": ["question"], "left": ["plan"], "right": ["plan"], "merge": ["left", "right"], "alone": ["question"]}


def about(request: Request) -> str:
    """Which node's call a backward request asks about."""
    found = re.search(r"<response>\n\[(.*)\]\n</response>", last(request))
    assert found is not None
    return found[1]


def causes(request: Request) -> list[str]:
    return re.findall(r'<cause name="(.*?)"', last(request))


def advise(request: Request) -> str:
    """Feedback on every cause, which names the call and the cause."""
    return json.dumps({name: f"{about(request)} wants another {name}" for name in causes(request)})


class Diamond(Graph):
    def __init__(self) -> None:
        self.plan, self.left, self.right, self.merge = map(trained, ["plan", "left", "right", "merge"])

    async def forward(self, question: Value) -> Value:
        plan = await self.plan(question=question)
        left, right = await asyncio.gather(self.left(plan=plan), self.right(plan=plan))
        return await self.merge(left=left, right=right)


def test_a_diamond_costs_one_call_per_node_and_the_gradient_arrives_once_with_both_sides() -> None:
    model = ScriptedModel(advise)
    trace = Diamond().run({"question": "q"})
    gradients = backward([trace], [WRONG], model=model)
    assert sorted(map(about, model.log)) == ["left", "merge", "plan", "right"]
    assert {request.role for request in model.log} == {"backward"}
    assert len({request.seed for request in model.log}) == 4
    key = {call.path: call.key for call in trace.calls.values()}
    assert gradients.values[trace.id, key["merge"]].text == WRONG.critique
    assert gradients.values[trace.id, key["plan"]].text.splitlines() == [
        note.text for note in gradients.values[trace.id, key["plan"]].notes
    ]
    assert set(gradients.values[trace.id, key["plan"]].text.splitlines()) == {
        "left wants another input.plan",
        "right wants another input.plan",
    }
    (question,) = (request for request in model.log if about(request) == "plan")
    assert "left wants another input.plan" in last(question)
    assert "right wants another input.plan" in last(question)
    assert {path: gradient.text for path, gradient in gradients.prompts.items()} == {
        f"{name}.system": f"{name} wants another system" for name in ("left", "merge", "plan", "right")
    }
    assert gradients.feedback == {trace.id: WRONG}
    assert gradients.usage.calls == 4
    assert gradients.failed == ()


class TwoWays(Graph):
    """The plan reaches the output over two functions that pass gradients on."""

    def __init__(self) -> None:
        self.plan = trained("plan")
        self.upper, self.lower = Function(str.upper, effects="none"), Function(str.lower, effects="none")

    async def forward(self, question: Value) -> Value:
        plan = await self.plan(question=question)
        return join(await self.upper(plan), await self.lower(plan), plan)


def test_a_critique_that_arrives_over_several_edges_counts_once() -> None:
    model = ScriptedModel(advise)
    trace = TwoWays().run({"question": "q"})
    gradients = backward([trace], [WRONG], model=model)
    assert len(model.log) == 1
    plan = next(call.key for call in trace.calls.values() if call.path == "plan")
    assert gradients.values[trace.id, plan].text == WRONG.critique
    assert last(model.log[0]).count(WRONG.critique) == 1


class Loop(Graph):
    def __init__(self, count: int) -> None:
        self.count = count
        self.plan = LLM(ScriptedModel(lambda request: f"[{request.seed}]"), system=Prompt("Go on."), template="{text}")

    async def forward(self, question: Value) -> Value:
        for _ in range(self.count):
            question = await self.plan(text=question)
        return question


def test_a_loop_costs_one_call_per_turn_and_gathers_all_remarks_on_its_prompt() -> None:
    model = ScriptedModel(advise)
    trace = Loop(7).run({"question": "q"})
    gradients = backward([trace], [WRONG], model=model)
    assert len(model.log) == len({about(request) for request in model.log}) == 7
    assert len(gradients.prompts["plan.system"].notes) == 7
    order = [call.output.text for call in reversed(trace.ordered()) if call.output]
    assert [f"[{about(request)}]" for request in model.log] == order


class Chain(Graph):
    def __init__(self, count: int) -> None:
        self.count = count
        self.plan = trained("plan")
        self.step = Function(lambda text: text + ".", effects="none")

    async def forward(self, question: Value) -> Value:
        text = await self.plan(question=question)
        for _ in range(self.count):
            text = await self.step(text)
        return text


def _seconds(count: int) -> float:
    trace = Chain(count).run({"question": "q"})
    model = ScriptedModel(lambda _: '{"system": "Start well."}')
    start = time.process_time()
    gradients = backward([trace], [WRONG], model=model)
    seconds = time.process_time() - start
    assert gradients.prompts["plan.system"].text == "Start well."
    assert len(gradients.values) == count + 1
    return seconds


def test_a_chain_of_5000_calls_needs_no_recursion_and_linear_time() -> None:
    short = min(_seconds(500) for _ in range(3))
    long = min(_seconds(5000) for _ in range(3))
    assert long < 30 * short + 0.5  # ten times as long; quadratic would be a hundred


def test_a_chain_of_1000_model_calls_needs_no_recursion() -> None:
    model = ScriptedModel(advise)
    trace = Loop(1000).run({"question": "q"})
    assert len(backward([trace], [WRONG], model=model).values) == 1000
    assert len(model.log) == 1000


class Partly(Graph):
    """A frozen planner feeds a trained solver, whose answer a frozen model phrases; a frozen branch stands beside."""

    def __init__(self) -> None:
        self.plan = LLM(say("plan"), template="{question}")
        self.left = LLM(say("left"), system=Prompt("Solve."), template="{plan} {question}")
        self.right = LLM(say("right"), template="{plan}")
        self.merge = LLM(say("merge"), template="{left} {right}")

    async def forward(self, question: Value) -> Value:
        plan = await self.plan(question=question)
        return await self.merge(left=await self.left(plan=plan, question=question), right=await self.right(plan=plan))


def test_nothing_is_asked_where_nothing_trainable_is_upstream() -> None:
    model = ScriptedModel(advise)
    trace = Partly().run({"question": "q"})
    gradients = backward([trace], [WRONG], model=model)
    assert [(about(request), causes(request)) for request in model.log] == [
        ("merge", ["input.left"]),
        ("left", ["system"]),
    ]
    assert set(gradients.prompts) == {"left.system"}
    paths = {trace.calls[key].path for _, key in gradients.values}
    assert paths == {"merge", "left"}


class Single(Graph):
    def __init__(self, model: ScriptedModel, system: str | Prompt = "Solve.") -> None:
        self.solve = LLM(model, system=system, template="{question}")

    async def forward(self, question: Value) -> Value:
        return await self.solve(question=question)


def test_a_policy_with_a_frozen_prompt_costs_no_call() -> None:
    model = ScriptedModel(advise)
    trace = Single(ScriptedModel(echo, trainable=True)).run({"question": "q"})
    gradients = backward([trace], [WRONG], model=model)
    assert model.log == []
    assert [gradient.text for gradient in gradients.values.values()] == [WRONG.critique]
    assert gradients.prompts == {}


def test_frozen_graphs_have_no_gradients() -> None:
    trace = Single(say("solve")).run({"question": "q"})
    assert backward([trace], [WRONG], model=ScriptedModel(advise)).edges == {}


@pytest.mark.parametrize(
    ("feedback", "edges"),
    [
        (Feedback(score=1.0, correct=True, critique="Right."), 1),
        (Feedback(score=0.0, correct=False, critique=" \n"), 0),
        (Feedback(score=None, critique="The judge broke.", fault="critic"), 0),
    ],
    ids=["right", "nothing to say", "unscored"],
)
def test_samples_that_cost_no_call(feedback: Feedback, edges: int) -> None:
    model = ScriptedModel(advise)
    gradients = backward([Diamond().run({"question": "q"})], [feedback], model=model)
    assert model.log == []
    assert len(gradients.edges) == edges
    assert gradients.prompts == {}


def test_a_policy_fault_is_learnt_from() -> None:
    fault = Feedback(score=0.0, correct=False, critique="The answer is empty.", fault="policy")
    model = ScriptedModel(advise)
    backward([Diamond().run({"question": "q"})], [fault], model=model)
    assert len(model.log) == 4


class Ruled(Graph):
    def __init__(self, rule: Any) -> None:
        self.left, self.right = (LLM(say(name), system=Prompt(name), template="{q}") for name in ("left", "right"))
        self.tool = Function(lambda first, second: first + second, effects="none", backward=rule, describe="adds")

    async def forward(self, question: Value) -> Value:
        return await self.tool(first=await self.left(q=question), second=await self.right(q=question))


def test_a_rule_that_raises_fails_its_call_alone() -> None:
    def rule(call: Call, critique: str) -> dict[str, str]:
        raise KeyError("no such road")

    traces = Ruled(rule).run_many([{"question": "1"}, {"question": "2"}])
    gradients = backward(traces, [WRONG, WRONG], model=ScriptedModel(advise))
    assert len(gradients.failed) == 2
    assert "KeyError" in gradients.failed[0].failure.reason
    assert "no such road" in gradients.failed[0].failure.reason
    assert gradients.prompts == {}


def test_a_callable_decides_what_reaches_which_input() -> None:
    seen: list[tuple[str, str]] = []

    def rule(call: Call, critique: str) -> Mapping[str, str]:
        seen.append((call.path, critique))
        return {"first": "The first term is off."}

    model = ScriptedModel(advise)
    gradients = backward([Ruled(rule).run({"question": "q"})], [WRONG], model=model)
    assert seen == [("tool", WRONG.critique)]
    assert [about(request) for request in model.log] == ["left"]
    assert "The first term is off." in last(model.log[0])
    assert set(gradients.prompts) == {"left.system"}


def test_a_rule_that_names_no_input_is_an_error_of_the_program() -> None:
    with pytest.raises(GraphError, match=r"tool names 'third'; its inputs: first, second"):
        backward([Ruled(lambda call, critique: {"third": "x"}).run({"question": "q"})], [WRONG])


def test_explain_asks_a_model_what_a_functions_critique_means_for_its_inputs() -> None:
    explained = '{"input.first": "Smaller.", "input.second": ""}'
    model = ScriptedModel(lambda request: explained if "[left][right]" in last(request) else advise(request))
    gradients = backward([Ruled("explain").run({"question": "q"})], [WRONG], model=model)
    assert causes(model.log[0]) == ["input.first", "input.second"]
    assert "The call's role in the program: adds" in last(model.log[0])
    assert [about(request) for request in model.log[1:]] == ["left"]
    assert "Smaller." in last(model.log[1])
    assert set(gradients.prompts) == {"left.system"}
    with pytest.raises(ConfigError, match=r"tool .*explain.*model="):
        backward([Ruled("explain").run({"question": "q"})], [WRONG])


class Wide(Graph):
    """Nodes side by side, so that each has its own fate."""

    def __init__(self) -> None:
        self.left, self.right = (LLM(say(name), system=Prompt(name), template="{q}") for name in ("left", "right"))

    async def forward(self, question: Value) -> Value:
        return join(await self.left(q=question), await self.right(q=question))


@pytest.mark.parametrize("build", [Wide, Diamond])
@pytest.mark.parametrize("fails", ["left", "right"])
def test_a_failed_call_is_isolated_and_repeated_to_the_result_of_a_run_without_failure(
    build: type[Graph], fails: str
) -> None:
    graph = build()
    traces = [graph.run({"question": "q"}, sample=sample) for sample in range(3)]
    unlucky = next(call.key for call in traces[1].calls.values() if call.path == fails)
    seed = traces[1].seed_for(unlucky, "backward")

    def script(request: Request) -> str | Exception:
        return ModelError("busy") if request.seed == seed else advise(request)

    first = backward(traces, [WRONG] * 3, model=ScriptedModel(script))
    assert [(item.trace_id, item.call_key, item.failure.where) for item in first.failed] == [
        (traces[1].id, unlucky, fails)
    ]
    whole = backward(traces, [WRONG] * 3, model=ScriptedModel(advise))
    assert set(first.edges) < set(whole.edges)

    model = ScriptedModel(advise)
    again = backward(traces, [WRONG] * 3, model=model, done=first)
    # Alone, but for the plan, which the first time was asked about one side only.
    assert [about(request) for request in model.log] == ([fails] if build is Wide else [fails, "plan"])
    assert again.edges == whole.edges
    assert again.prompts == whole.prompts
    assert again.failed == ()
    assert again.usage.calls == first.usage.calls + len(model.log)

    idle = ScriptedModel(advise)
    assert backward(traces, [WRONG] * 3, model=idle, done=again).edges == whole.edges
    assert idle.log == []


def test_a_call_that_had_nothing_to_say_is_settled_too() -> None:
    model = ScriptedModel(lambda request: json.dumps(dict.fromkeys(causes(request), "")))
    trace = Diamond().run({"question": "q"})
    first = backward([trace], [WRONG], model=model)
    assert len(model.log) == 1
    assert first.prompts == {}
    assert [key for _, key in first.values] == [trace.output.key]  # type: ignore[union-attr]
    backward([trace], [WRONG], model=model, done=first)
    assert len(model.log) == 1


@pytest.mark.parametrize("bad", ["", "I'd rather not.", '{"nothing": "x"}', '{"system": 3}', "{" * 2000])
def test_an_unreadable_answer_is_asked_for_again_with_another_seed_then_reported(bad: str) -> None:
    trace = Single(ScriptedModel(lambda _: "[solve]"), Prompt("Solve.")).run({"question": "q"})
    model = ScriptedModel(lambda request: advise(request) if len(model.log) == 3 else bad)
    gradients = backward([trace], [WRONG], model=model)
    assert len({request.seed for request in model.log}) == 3
    assert gradients.prompts["solve.system"].text == "solve wants another system"
    assert gradients.usage.calls == 3

    model = ScriptedModel(lambda request: bad)
    gradients = backward([trace], [WRONG], model=model, retries=1)
    assert len(model.log) == 2
    (failed,) = gradients.failed
    assert (failed.trace_id, failed.failure.where, failed.failure.kind) == (trace.id, "solve", "infrastructure")
    assert "2 attempts" in failed.failure.reason
    assert gradients.prompts == {}


class SlowAndFast(Graph):
    """Two chains of three side by side."""

    def __init__(self) -> None:
        self.slow = [LLM(say(f"slow{n}"), system=Prompt(f"s{n}"), template="{text}") for n in range(3)]
        self.fast = [LLM(say(f"fast{n}"), system=Prompt(f"f{n}"), template="{text}") for n in range(3)]

    async def forward(self, question: Value) -> Value:
        async def chain(nodes: list[LLM]) -> Value:
            text = question
            for node in nodes:
                text = await node(text=text)
            return text

        return join(*await asyncio.gather(chain(self.slow), chain(self.fast)))


def test_a_slow_branch_does_not_hold_a_fast_one() -> None:
    model = ScriptedModel(advise, latency=lambda request: 0.3 if about(request) == "slow2" else 0.001)
    backward([SlowAndFast().run({"question": "q"})], [WRONG], model=model)
    assert [about(request) for request in model.finished] == ["fast2", "fast1", "fast0", "slow2", "slow1", "slow0"]


def test_traces_are_walked_at_the_same_time() -> None:
    model = ScriptedModel(advise, latency=lambda _: 0.02)
    graph = Diamond()
    traces = [graph.run({"question": "q"}, sample=sample) for sample in range(10)]
    backward(traces, [WRONG] * 10, model=model)
    assert len(model.log) == 40
    assert model.peak == 20  # left and right of all ten


def test_the_result_does_not_depend_on_latencies() -> None:
    graph = Diamond()
    traces = [graph.run({"question": "q"}, sample=sample) for sample in range(4)]
    results, orders = [], set()
    for seed in range(5):
        model = ScriptedModel(advise, latency=random_latency(seed))
        results.append(backward(traces, [WRONG] * 4, model=model))
        orders.add(tuple((about(request), request.seed) for request in model.finished))
    assert len(orders) > 1
    assert all(result == results[0] for result in results)


async def test_it_also_waits() -> None:
    trace = await Diamond().arun({"question": "q"})
    assert (await abackward([trace], [WRONG], model=ScriptedModel(advise))).prompts


def test_without_a_model_every_nodes_own_model_writes_the_feedback() -> None:
    model = ScriptedModel(lambda request: "[solve]" if request.role == "solve" else advise(request))
    gradients = backward([Single(model, Prompt("Solve.")).run({"question": "q"})], [WRONG])
    assert len(model.asked("backward")) == 1
    assert gradients.prompts["solve.system"].text == "solve wants another system"


def test_only_the_named_parameters_are_asked_about() -> None:
    model = ScriptedModel(advise)
    trace = Diamond().run({"question": "q"})
    gradients = backward([trace], [WRONG], model=model, parameters=["left.system"])
    assert [(about(request), causes(request)) for request in model.log] == [
        ("merge", ["input.left"]),
        ("left", ["system"]),
    ]
    assert set(gradients.prompts) == {"left.system"}
    assert backward([trace], [WRONG], model=ScriptedModel(advise), parameters=[]).edges == {}


def test_the_plain_dialect_asks_about_the_prompt_and_hands_the_critique_to_the_inputs() -> None:
    model = ScriptedModel(lambda _: "Tell the solver: Carry the tens.", dialect="plain")
    trace = Diamond().run({"question": "q"})
    gradients = backward([trace], [WRONG], model=model)
    assert len(model.log) == 4
    assert last(model.log[0]) == f"Prompt: Do merge.\nCritique: {WRONG.critique}"
    assert set(gradients.prompts) == {"plan.system", "left.system", "right.system", "merge.system"}
    plan = next(call.key for call in trace.calls.values() if call.path == "plan")
    assert gradients.values[trace.id, plan].text == WRONG.critique


class Fails(Graph):
    """The plan is turned into an answer by a tool that breaks on it; another node has run before."""

    def __init__(self) -> None:
        self.plan, self.alone = trained("plan"), trained("alone")
        self.tool = Function(self._break)

    @staticmethod
    def _break(plan: str) -> str:
        raise ValueError(f"cannot run {plan}")

    async def forward(self, question: Value) -> Value:
        await self.alone(question=question)
        return await self.tool(await self.plan(question=question))


def test_the_critique_of_a_failed_run_starts_where_it_failed() -> None:
    model = ScriptedModel(advise)
    trace = Fails().run({"question": "q"})
    assert trace.failure is not None
    assert [call.path for call in starts(trace)] == ["tool"]
    feedback = Feedback(score=0.0, correct=False, critique=trace.failure.reason, fault="policy")
    gradients = backward([trace], [feedback], model=model)
    assert [about(request) for request in model.log] == ["plan"]
    assert "it raised ValueError: cannot run [plan]" in last(model.log[0])
    assert set(gradients.prompts) == {"plan.system"}


def test_a_run_that_failed_in_a_frozen_place_or_returned_its_input_has_no_gradient() -> None:
    class Same(Graph):
        async def forward(self, question: Value) -> Value:
            return question

    assert backward([Same().run({"question": "q"})], [WRONG]).edges == {}
    assert starts(Same().run({"question": "q"})) == []


def test_traces_and_feedback_come_in_pairs() -> None:
    with pytest.raises(GraphError, match="2 traces and 1 pieces of feedback"):
        backward([Diamond().run({"question": "q"})] * 2, [WRONG])


def test_runs_that_cannot_be_told_apart_are_refused() -> None:
    traces = [Diamond().run({"question": "q"}), Diamond().run({"question": "q"})]
    with pytest.raises(GraphError, match=rf"the run {traces[0].id} \(step/example/sample\) twice.*sample="):
        backward(traces, [WRONG] * 2, model=ScriptedModel(advise))


def test_many_branches_are_asked_at_once() -> None:
    class Fan(Graph):
        def __init__(self) -> None:
            self.plan = trained("plan")

        async def forward(self, question: Value) -> Value:
            return join(*await asyncio.gather(*(self.plan(question=question) for _ in range(200))))

    model = ScriptedModel(advise, latency=lambda _: 0.01)
    gradients = backward([Fan().run({"question": "q"})], [WRONG], model=model)
    assert model.peak == len(model.log) == len(gradients.prompts["plan.system"].notes) == 200


def test_after_an_error_nothing_more_is_asked() -> None:
    def rule(call: Call, critique: str) -> Mapping[str, str]:
        return {"no input": "x"}

    class RuleAndModel(Graph):
        def __init__(self) -> None:
            self.alone, self.plan = trained("alone"), trained("plan")
            self.tool = Function(lambda text: text, effects="none", backward=rule)

        async def forward(self, question: Value) -> Value:
            alone = await self.alone(question=question)
            return join(alone, await self.tool(await self.plan(question=question)))

    async def main() -> int:
        model = ScriptedModel(advise, latency=lambda _: 0.005)
        trace: Trace = await RuleAndModel().arun({"question": "q"})
        with pytest.raises(GraphError, match="names 'no input'"):
            await abackward([trace], [WRONG], model=model)
        await asyncio.sleep(0.03)
        return len(model.log)

    assert asyncio.run(main()) == 0
