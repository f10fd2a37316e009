import asyncio
import gc
import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.scripted import ScriptedModel, echo
from textgrad_rl_graphs.errors import GraphError, RecordsError
from textgrad_rl_graphs.graph import Graph, join
from textgrad_rl_graphs.node import LLM, Function
from textgrad_rl_graphs.prompt import Prompt
from textgrad_rl_graphs.types import Example
from textgrad_rl_graphs.value import Value


class Inner(Graph):
    def __init__(self, model: ScriptedModel, system: Prompt | str) -> None:
        self.solve = LLM(model, system=system, template="{question}")

    async def forward(self, question: Value) -> Value:
        return await self.solve(question=question)


class Outer(Graph):
    """Nodes in attributes, a list, a dict and nested graphs."""

    def __init__(self, model: ScriptedModel, shared: Prompt) -> None:
        self.plan = LLM(model, system=shared, template=Prompt("plan {question}", name="plan"))
        self.steps = [LLM(model, template="one {text}"), LLM(model, template="two {text}")]
        self.tools = {"count": Function(len, effects="none"), "solvers": [Inner(model, shared)]}
        self.inner = Inner(model, "frozen")
        self.twice = self.plan
        self._hidden = LLM(model)

    async def forward(self, question: Value) -> Value:
        plan = await self.plan(question=question)
        for step in self.steps:
            plan = await step(text=plan)
        return await self.tools["solvers"][0](question=join(plan, await self.inner(question=question)))  # type: ignore[index,operator]


def test_nodes_have_paths_through_lists_dicts_and_graphs_each_once() -> None:
    graph = Outer(ScriptedModel(echo), Prompt("Solve."))
    assert list(graph.nodes()) == ["plan", "steps.0", "steps.1", "tools.count", "tools.solvers.0.solve", "inner.solve"]
    trace = graph.run({"question": "q"})
    assert [call.path for call in trace.calls.values()] == [
        "plan", "steps.0", "steps.1", "inner.solve", "join", "tools.solvers.0.solve",
    ]  # fmt: skip


def test_parameters_are_listed_once_under_their_first_path() -> None:
    shared, policy = Prompt("Solve."), ScriptedModel(echo, trainable=True)
    graph = Outer(policy, shared)
    parameters = graph.parameters()
    assert list(parameters) == ["plan.system", "plan.template", "plan.model"]
    assert parameters["plan.system"] is shared
    assert parameters["plan.model"] is policy
    assert list(Outer(ScriptedModel(echo), shared).parameters()) == ["plan.system", "plan.template"]


def test_a_graph_that_holds_itself_is_walked_once() -> None:
    graph = Outer(ScriptedModel(echo), Prompt("Solve."))
    graph.inner.parent = graph  # type: ignore[attr-defined]
    assert len(graph.nodes()) == 6


def test_nodes_may_be_replaced_after_a_run() -> None:
    class Only(Graph):
        async def forward(self, question: Value) -> Value:
            (node,) = (item for name, item in vars(self).items() if name.startswith("node"))
            return await node(question=question)

    graph = Only()
    for number in range(20):  # a freed node's id is used again; its path must not be
        setattr(graph, f"node{number}", LLM(ScriptedModel(echo)))
        (call,) = graph.run({"question": "q"}).calls.values()
        assert call.path == f"node{number}"
        del call
        delattr(graph, f"node{number}")
        gc.collect()


class Loop(Graph):
    def __init__(self, count: int) -> None:
        self.count = count
        self.step = Function(lambda number: number + 1, effects="none")

    async def forward(self, number: Value) -> Value:
        for _ in range(self.count):
            number = await self.step(number)
        return number


def test_a_loop_of_5000_calls_needs_no_recursion() -> None:
    start = time.process_time()
    trace = Loop(5000).run({"number": 0})
    assert trace.output is not None
    assert trace.output.data == 5000
    assert len(trace.ordered()) == 5000
    assert [call.output.data for call in trace.ordered() if call.output] == list(range(1, 5001))
    assert time.process_time() - start < 20


class Branching(Graph):
    def __init__(self) -> None:
        self.even = Function(lambda number: f"{number} is even", effects="none")
        self.odd = Function(lambda number: f"{number} is odd", effects="none")

    async def forward(self, number: Value) -> Value:
        return await (self.odd if number.data % 2 else self.even)(number)


def test_branches_are_the_python_they_look_like() -> None:
    assert [Branching().run({"number": number}).output.text for number in (1, 2)] == ["1 is odd", "2 is even"]  # type: ignore[union-attr]


class OneBranchFails(Graph):
    def __init__(self) -> None:
        self.model = ScriptedModel(echo, latency=lambda _: 0.005)
        self.ask = LLM(self.model, template="{text}")
        self.tool = Function(lambda number: 1 // number)

    async def forward(self, number: Value) -> Value:
        async def chain() -> Value:
            text = number
            for _ in range(5):
                text = await self.ask(text=text)
            return text

        return join(*await asyncio.gather(chain(), self.tool(number)))


async def test_branches_beside_a_failed_one_ask_nothing_more() -> None:
    graph = OneBranchFails()
    trace = await graph.arun({"number": 0})
    assert trace.failure is not None
    assert len(trace.calls) == 2
    await asyncio.sleep(0.05)
    assert len(graph.model.log) == 1
    assert len(trace.calls) == 2
    assert len((await graph.arun({"number": 1})).calls) == 7


def test_a_value_of_another_run_is_no_output() -> None:
    class Keeps(Graph):
        kept: Value | None = None

        async def forward(self, question: Value) -> Value:
            self.kept = self.kept or question
            return self.kept

    graph = Keeps()
    assert graph.run({"question": "q"}).output is not None
    with pytest.raises(
        GraphError, match=r"Keeps\.forward returned a Value of another run \(.*\), Value\(question='q'\)"
    ):
        graph.run({"question": "q"})


class Joining(Graph):
    def __init__(self) -> None:
        self.up = Function(str.upper, effects="none")

    async def forward(self, one: Value, two: Value) -> Value:
        return join(await self.up(one), "and", await self.up(two), two, separator=" ")


def test_join_keeps_the_lineage_of_every_part() -> None:
    trace = Joining().run({"one": "a", "two": "b"})
    assert trace.output is not None
    assert trace.output.text == "A and B b"
    call = trace.output.call
    assert call is not None
    assert [value.call.path if value.call else value.text for value in call.inputs.values()] == ["up", "and", "up", "b"]
    assert call.inputs["arg3"] is trace.inputs["two"]


def test_join_belongs_inside_a_run() -> None:
    with pytest.raises(GraphError, match="join was called outside of a run"):
        join("a", "b")


class Returns(Graph):
    def __init__(self, what: Any) -> None:
        self.what = what
        self.node = Function(str, effects="none")

    async def forward(self, question: Value) -> Any:
        return self.what


@pytest.mark.parametrize("what", ["text", None, 42])
def test_forward_has_to_return_a_value(what: Any) -> None:
    with pytest.raises(GraphError, match=rf"Returns\.forward returned {type(what).__name__}, not a Value.*join"):
        Returns(what).run({"question": "q"})


def test_a_graph_without_forward_and_wrong_input_names() -> None:
    with pytest.raises(GraphError, match="Graph does not define"):
        Graph().run({"question": "q"})
    with pytest.raises(GraphError, match=r"takes .*the example gives nummer"):
        Loop(1).run({"nummer": 0})


def test_an_input_may_be_returned_as_it_is() -> None:
    class Same(Graph):
        async def forward(self, question: Value) -> Value:
            return question

    trace = Same().run({"question": "q"})
    assert trace.output is trace.inputs["question"]
    assert trace.calls == {}


def test_errors_of_the_program_are_raised_as_they_are() -> None:
    class Broken(Graph):
        async def forward(self, question: Value) -> Value:
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        Broken().run({"question": "q"})


async def test_plain_names_work_inside_a_running_loop_and_runs_do_not_mix() -> None:
    graph = Inner(ScriptedModel(echo), "a")
    assert graph.run({"question": "q"}).output is not None  # as in a notebook cell
    traces = await asyncio.gather(*(graph.arun(Example({"question": str(n)}), sample=n) for n in range(20)))
    assert [len(trace.calls) for trace in traces] == [1] * 20
    assert [trace.inputs["question"].text for trace in traces] == [str(n) for n in range(20)]


async def test_the_order_of_concurrent_runs_leaves_their_keys_alone() -> None:
    graph = Inner(ScriptedModel(echo), "a")
    alone = await graph.arun({"question": "q"})
    together = await asyncio.gather(*(graph.arun({"question": "q"}) for _ in range(3)))
    assert {tuple(trace.calls) for trace in together} == {tuple(alone.calls)}


def test_prompts_are_saved_and_loaded(tmp_path: Path) -> None:
    shared = Prompt("Solve. é")
    graph = Outer(ScriptedModel(echo), shared)
    graph.save(tmp_path / "new" / "folder")
    shared.text = "changed"
    graph.load_state(tmp_path / "new" / "folder")
    assert shared.text == "Solve. é"


class SavedPolicy(ScriptedModel):
    """A policy whose weights are a number."""

    def save(self, folder: Path) -> None:
        folder.mkdir()
        (folder / "weights").write_text(str(self.weight_version))

    def load(self, folder: Path) -> None:
        self.weight_version = int((folder / "weights").read_text())


def test_policies_are_saved_beside_the_prompts(tmp_path: Path) -> None:
    policy = SavedPolicy(echo, trainable=True, weight_version=7)
    graph = Inner(policy, Prompt("Solve."))
    graph.save(tmp_path)
    assert (tmp_path / "solve.model" / "weights").read_text() == "7"
    policy.weight_version = 0
    graph.load_state(tmp_path)
    assert policy.weight_version == 7


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no readable prompts.json"),
        ("{broken", "no readable prompts.json"),
        ("[1]", "not a mapping"),
        ('{"plan.system": 3, "plan.template": "a"}', "not a mapping"),
        ('{"other": "a"}', r"holds the prompts \['other'\], this graph has \['plan.system', 'plan.template'\]"),
    ],
)
def test_a_directory_of_something_else_is_refused_and_changes_nothing(
    tmp_path: Path, content: str | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "prompts.json").write_text(content)
    shared = Prompt("Solve.")
    with pytest.raises(RecordsError, match=message):
        Outer(ScriptedModel(echo), shared).load_state(tmp_path)
    assert shared.text == "Solve."


def test_saved_prompts_are_readable(tmp_path: Path) -> None:
    Outer(ScriptedModel(echo), Prompt("Größe")).save(tmp_path)
    text = (tmp_path / "prompts.json").read_text("utf-8")
    assert "Größe" in text
    assert json.loads(text) == {"plan.system": "Größe", "plan.template": "plan {question}"}


QUESTIONS = [Example({"question": str(number)}) for number in range(5)]


async def test_an_example_that_occurs_twice_gets_further_samples() -> None:
    model = ScriptedModel(echo)
    twice = [QUESTIONS[0], QUESTIONS[1], QUESTIONS[0]]
    traces = await Inner(model, "Solve.").arun_many(twice, samples=2, step=1)
    assert len({trace.id for trace in traces}) == 6
    assert len({request.seed for request in model.log}) == 6
    assert [trace.group for trace in traces].count(traces[0].group) == 4
    once = await Inner(model, "Solve.").arun_many(twice[:2], samples=2, step=1)
    assert [trace.id for trace in traces[:4]] == [trace.id for trace in once]


async def test_all_runs_are_under_way_at_once() -> None:
    model = ScriptedModel(echo, latency=lambda _: 0.01)
    await Inner(model, "Solve.").arun_many(QUESTIONS, samples=3)
    assert model.peak == 15


def test_inputs_that_forward_does_not_take() -> None:
    graph = Inner(ScriptedModel(echo), "Solve.")
    with pytest.raises(GraphError, match=r"Inner.forward takes question, the example gives q:"):
        graph.run({"q": "1 + 1"})
    with pytest.raises(GraphError, match="named inputs"):
        graph.run("1 + 1")  # type: ignore[arg-type]
