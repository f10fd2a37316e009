import asyncio
import threading
import time
from typing import Any

import pytest

from tests.support.scripted import ScriptedModel, echo
from textgrad_rl_graphs.errors import ConfigError, GraphError, ModelError, PolicyFaultError, TemplateError
from textgrad_rl_graphs.graph import Graph
from textgrad_rl_graphs.node import LLM, Function, NodeFailedError
from textgrad_rl_graphs.prompt import Prompt
from textgrad_rl_graphs.trace import Replay, Trace
from textgrad_rl_graphs.types import Completion, Message, Sampling
from textgrad_rl_graphs.value import Value


class One(Graph):
    """One node, called with the inputs of the run."""

    def __init__(self, node: LLM | Function) -> None:
        self.node = node

    async def forward(self, **inputs: Value) -> Value:
        return await self.node(**inputs)


def run(function: Any, **settings: Any) -> Trace:
    return One(Function(function, **settings)).run({"x": 1})


def test_an_llm_sends_system_demos_and_template() -> None:
    model = ScriptedModel(echo)
    node = LLM(
        model,
        system=Prompt("Solve."),
        template="Q: {question}",
        demos=[({"question": "1 + 1"}, "2")],
        sampling=Sampling(temperature=0.5),
    )
    trace = One(node).run({"question": "2 + 2"})
    assert model.log[0].messages == (
        Message("system", "Solve."),
        Message("user", "Q: 1 + 1"),
        Message("assistant", "2"),
        Message("user", "Q: 2 + 2"),
    )
    assert model.log[0].sampling == Sampling(temperature=0.5)
    assert model.log[0].role == "solve"
    (call,) = trace.calls.values()
    assert call.messages == model.log[0].messages
    assert call.completion is not None
    assert trace.output is not None
    assert trace.output.text == call.completion.text


class Chat(Graph):
    """Three turns; the last may be asked of another model."""

    def __init__(self, model: ScriptedModel, last_model: ScriptedModel | None = None) -> None:
        self.ask = LLM(model, system="Be kind.", template="{text}")
        self.end = LLM(last_model or model, template="bye {text}")

    async def forward(self, question: Value) -> Value:
        first = await self.ask(text=question)
        second = await self.ask(text="go on", history=first)
        return await self.end(text="now", history=second)


def test_history_continues_the_conversation_token_by_token() -> None:
    model = ScriptedModel(echo)
    trace = Chat(model).run({"question": "hello"})
    one, two, three = model.log
    first, second = (call.completion for call in list(trace.calls.values())[:2])
    assert first is not None
    assert second is not None
    assert [message.role for message in three.messages] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert three.messages == (
        *one.messages,
        Message("assistant", first.text),
        Message("user", "go on"),
        Message("assistant", second.text),
        Message("user", "bye now"),
    )
    assert one.history_ids == ()
    assert two.history_ids == first.prompt_ids + first.output_ids
    assert three.history_ids == second.prompt_ids + second.output_ids


def test_history_ids_are_left_out_for_another_model() -> None:
    other = ScriptedModel(echo, name="other")
    Chat(ScriptedModel(echo), other).run({"question": "hello"})
    assert other.log[0].history_ids == ()
    assert len(other.log[0].messages) == 6


def test_history_ids_of_a_refined_turn_are_not_those_of_the_refiner() -> None:
    model = ScriptedModel(echo)
    graph = Chat(model)
    source = graph.run({"question": "hello"})
    refined = Completion(text="better", prompt_ids=tuple(map(ord, "the critique")), output_ids=(1, 2))
    model.log.clear()
    trace = graph.run({"question": "hello"}, replay=Replay(source, {next(iter(source.calls)): refined}))
    assert trace.output is not None
    assert model.log[0].messages[2] == Message("assistant", "better")
    assert model.log[0].history_ids == ()
    assert model.log[1].history_ids != ()


def test_history_takes_the_value_of_an_llm_call() -> None:
    class Wrong(Graph):
        def __init__(self) -> None:
            self.ask = LLM(ScriptedModel(echo), template="{text}")

        async def forward(self, question: Value) -> Value:
            return await self.ask(text="a", history=question)

    with pytest.raises(GraphError, match="history= takes the Value of an LLM call"):
        Wrong().run({"question": "q"})


def test_settings_that_cannot_work() -> None:
    with pytest.raises(ConfigError, match=r"needs a model.*load_model"):
        LLM("gpt")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="callable"):
        Function(3)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="effects is"):
        Function(str, effects="never")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="backward is"):
        Function(str, backward="skip")  # type: ignore[arg-type]


def test_inputs_that_do_not_fit_the_template_are_errors_of_the_program() -> None:
    graph = One(LLM(ScriptedModel(echo), template="{question}"))
    with pytest.raises(TemplateError, match=r"node: .*\{question\}"):
        graph.run({"text": "q"})


def test_missing_and_unknown_inputs_are_named_with_what_there_is() -> None:
    class Two(Graph):
        def __init__(self, **inputs: Any) -> None:
            self.inputs = inputs
            self.solve = LLM(ScriptedModel(echo), template="{question} {plan}")

        async def forward(self, question: Value) -> Value:
            return await self.solve(question=question, **self.inputs)

    with pytest.raises(TemplateError, match=r"solve: the template names \{plan\}.*Given: question, hint\. Pass plan="):
        Two(hint="h").run({"question": "q"})
    with pytest.raises(TemplateError, match=r"solve: the call gives 'hint'.*The template names: question, plan"):
        Two(plan="p", hint="h").run({"question": "q"})


def test_a_failed_model_fails_the_run_not_the_program() -> None:
    graph = One(LLM(ScriptedModel(lambda _: ModelError("the server is gone"), name="far"), template="{question}"))
    trace = graph.run({"question": "q"})
    assert trace.output is None
    assert trace.failure is not None
    assert (trace.failure.where, trace.failure.kind) == ("node", "infrastructure")
    assert "far failed: the server is gone" in trace.failure.reason


@pytest.mark.parametrize("timeout_s", [None, 30.0])
def test_functions_plain_async_and_in_disguise(timeout_s: float | None) -> None:
    async def later(x: int) -> int:
        await asyncio.sleep(0)
        return x + 1

    class Tool:
        async def __call__(self, x: int) -> int:
            return x + 1

    for function in (lambda x: x + 1, later, lambda x: later(x), Tool()):
        trace = run(function, timeout_s=timeout_s)
        assert trace.failure is None
        assert trace.output is not None
        assert trace.output.data == 2


def test_positional_and_named_inputs_reach_the_function() -> None:
    class Calls(Graph):
        def __init__(self) -> None:
            self.show = Function(lambda a, b, *, c: f"{a}{b}{c}", effects="none")

        async def forward(self, x: Value) -> Value:
            return await self.show(x, 2, c=x)

    assert Calls().run({"x": 1}).output.data == "121"  # type: ignore[union-attr]


@pytest.mark.parametrize("timeout_s", [None, 30.0], ids=["in the loop", "in a thread"])
def test_an_exception_is_the_policys_fault_with_the_functions_own_frames(timeout_s: float | None) -> None:
    def deep(x: int) -> float:
        return x / 0

    def tool(x: int) -> float:
        return deep(x)

    trace = run(tool, timeout_s=timeout_s)
    assert trace.output is None
    assert trace.failure is not None
    assert trace.failure.kind == "policy"
    lines = trace.failure.reason.splitlines()
    assert lines[0] == "it raised ZeroDivisionError: division by zero"
    assert [line.rsplit(": ", 1)[1] for line in lines[1:]] == ["return deep(x)", "return x / 0"]


def test_a_call_that_does_not_fit_the_function_is_the_programs_fault() -> None:
    with pytest.raises(GraphError, match=r"node: the function takes \(y\).*missing a required argument: 'y'"):
        run(lambda y: y)
    assert run(dict).output.data == {"x": 1}  # type: ignore[union-attr]  # has no signature to check


def test_a_policy_fault_is_told_in_its_own_words() -> None:
    def tool(x: int) -> None:
        raise PolicyFaultError("no \\boxed{} in the answer")

    trace = run(tool)
    assert trace.failure is not None
    assert (trace.failure.reason, trace.failure.kind) == ("no \\boxed{} in the answer", "policy")


def test_a_timed_out_run_can_be_cancelled_and_the_loop_goes_on() -> None:
    release = threading.Event()

    async def main() -> None:
        blocked = One(Function(lambda x: release.wait(30), timeout_s=30))
        waiting = One(Function(_sleeps))  # without a limit; an async function can be cancelled all the same
        for graph in (blocked, waiting):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(graph.arun({"x": 1}), 0.05)

    start = time.monotonic()
    try:
        asyncio.run(main())
    finally:
        release.set()
    assert time.monotonic() - start < 10


async def _sleeps(x: int) -> None:
    await asyncio.sleep(30)


def test_a_timeout_fails_the_run_in_time_even_if_the_function_goes_on() -> None:
    release = threading.Event()
    try:
        for function in (lambda x: release.wait(30), _sleeps):
            start = time.monotonic()
            trace = run(function, timeout_s=0.05)
            assert time.monotonic() - start < 10
            assert trace.failure is not None
            assert trace.failure.kind == "policy"
            assert "ran out of time (limit 0.05 s)" in trace.failure.reason
    finally:
        release.set()


def test_a_description_defaults_to_the_first_line_of_the_docstring() -> None:
    def tool() -> None:
        """Solves equations.

        And more.
        """

    assert Function(tool).describe == "Solves equations."
    assert Function(tool, describe="mine").describe == "mine"
    assert Function(lambda: 1).describe == ""


class Wrong(Graph):
    """Ways to call a node that are errors of the program."""

    def __init__(self, how: str, foreign: Value | None = None) -> None:
        self.how = how
        self.solve = LLM(ScriptedModel(echo), template="{text}")
        self.count = Function(len, effects="none")
        self._foreign = foreign

    async def forward(self, question: Value) -> Any:
        if self.how == "forgotten await":
            return await self.solve(text=self.solve(text=question))
        if self.how == "forgotten await of a Function":
            return await self.count(self.solve(text=question))
        if self.how == "foreign value":
            return await self.solve(text=self._foreign)
        if self.how == "foreign history":
            return await self.solve(text="a", history=self._foreign)
        if self.how == "list of values":
            return await self.count([question, await self.solve(text=question)])
        if self.how == "dict of values":
            return await self.count({"question": question})
        return await LLM(ScriptedModel(echo), template="{text}")(text=question)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("forgotten await", "'text' is a coroutine: write 'await'"),
        ("forgotten await of a Function", "'arg0' is a coroutine: write 'await'"),
        ("foreign value", r"solve: the input 'text' is a Value of another run .*value\.text"),
        ("foreign history", "solve: the input 'history' is a Value of another run"),
        ("list of values", r"'arg0' is a list of Values.*self\.node\(\*values\)"),
        ("dict of values", "'arg0' is a dict of Values"),
        ("not assigned", r"no attribute of Wrong.*self\.name = "),
    ],
)
def test_misuse_is_named(how: str, message: str) -> None:
    foreign = One(LLM(ScriptedModel(echo), template="{x}")).run({"x": "1"}).output
    with pytest.raises(GraphError, match=message):
        Wrong(how, foreign).run({"question": "q"})


async def test_a_node_outside_of_a_run_says_where_it_belongs() -> None:
    for node in (LLM(ScriptedModel(echo)), Function(len)):
        with pytest.raises(GraphError, match=r"outside of a run.*Graph\.forward"):
            await node(question="q")


def test_a_function_that_calls_a_failing_graph_fails_by_itself() -> None:
    inner = One(Function(lambda x: 1 // 0))

    def tool(x: int) -> str:
        trace = inner.run({"x": x})  # a run of its own, inside a running loop
        return "inner failed" if trace.failure else "inner ran"

    assert run(tool).output.text == "inner failed"  # type: ignore[union-attr]


def test_node_failures_carry_the_failure() -> None:
    trace = run(lambda x: 1 // 0)
    assert trace.failure is not None
    error = NodeFailedError(trace.failure)
    assert error.failure is trace.failure
    assert str(error).startswith("node: it raised ZeroDivisionError")
