"""Faults known of TextGrad 0.1.8 that the graph layer answers for, each shown to be absent."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.scripted import ScriptedModel, last
from textgrad_rl_graphs.backward import backward
from textgrad_rl_graphs.errors import ModelError
from textgrad_rl_graphs.feedback import Feedback
from textgrad_rl_graphs.gradient import Gradients
from textgrad_rl_graphs.graph import Graph, join
from textgrad_rl_graphs.node import LLM
from textgrad_rl_graphs.prompt import Prompt
from textgrad_rl_graphs.trace import Trace
from textgrad_rl_graphs.types import Request
from textgrad_rl_graphs.value import Value

ROOT = Path(__file__).parents[2]
LONG = " ".join(f"word{number}" for number in range(3000))


def critique(text: str) -> Feedback:
    return Feedback(score=0.0, correct=False, critique=text)


def causes(request: Request) -> list[str]:
    return re.findall(r'<cause name="(.*?)"', last(request))


def advise(request: Request) -> str:
    """Advice on every cause that quotes the critique."""
    said = re.search(r"<critique>\n(.*)\n</critique>", last(request), re.DOTALL)
    assert said is not None
    return json.dumps({name: f"{name}: {said[1]}" for name in causes(request)})


class TwoLosses(Graph):
    """An answer, two models that judge it (losses that are LLM calls), and their sum as the output."""

    def __init__(self) -> None:
        self.answer = LLM(ScriptedModel(lambda _: LONG), system=Prompt("Answer."), template="{question}")
        self.style = LLM(ScriptedModel(lambda _: f"Too long. {LONG}"), system="Judge the style.", template="{answer}")
        self.facts = LLM(ScriptedModel(lambda _: "It is wrong."), system="Judge the facts.", template="{answer}")

    async def forward(self, question: Value) -> Value:
        answer = await self.answer(question=question)
        return join(await self.style(answer=answer), await self.facts(answer=answer))


def test_summed_losses_carry_their_full_text_and_never_an_empty_objective() -> None:
    trace = TwoLosses().run({"question": "q"})
    assert trace.output is not None
    model = ScriptedModel(advise)
    gradients = backward([trace], [critique(trace.output.text)], model=model)
    assert len(model.log) == 3
    for request in model.log:  # each judge and the answer are shown the whole of what both judges said
        assert f"<critique>\n{'input.answer: ' if causes(request) == ['system'] else ''}Too long." in last(request)
        assert LONG in last(request)
        assert "It is wrong." in last(request)
    assert "It is wrong." in gradients.prompts["answer.system"].text


def answered(text: str = "no", system: str = "Answer.", samples: int = 1) -> list[Trace]:
    class Single(Graph):
        def __init__(self) -> None:
            prompt = Prompt(system, describe="instructions to the solver")
            self.solve = LLM(ScriptedModel(lambda _: text), system=prompt, template="{question}", describe="solves it")

        async def forward(self, question: Value) -> Value:
            return await self.solve(question=question)

    return Single().run_many([{"question": "q"}], samples=samples)


def notes(gradients: Gradients, path: str = "solve.system") -> list[str]:
    return [note.text for note in gradients.prompts[path].notes]


def test_gradients_are_not_doubled() -> None:
    traces = answered(samples=3)
    gradients = backward(traces, [critique("Wrong.")] * 3, model=ScriptedModel(advise))
    assert notes(gradients) == ["system: Wrong."] * 3
    assert all(len(gradient.notes) == 1 for gradient in gradients.values.values())


def test_a_second_backward_adds_only_if_asked() -> None:
    traces = answered()
    one = backward(traces, [critique("Wrong.")], model=ScriptedModel(advise))
    again = backward(traces, [critique("Wrong.")], model=ScriptedModel(advise))
    other = backward(traces, [critique("Too long.")], model=ScriptedModel(advise))
    assert again.prompts == one.prompts == (one | again).prompts == (one + again).prompts
    assert notes(other) == notes(one | other) == ["system: Too long."]
    assert notes(one + other) == notes(other + one) == ["system: Too long.", "system: Wrong."]
    assert (one + other).usage.calls == 2


def test_the_whole_variable_is_in_view_with_its_role() -> None:
    """TextGrad shows ten words of its head and tail."""
    model = ScriptedModel(advise)
    backward(answered(LONG, system=f"Answer. {LONG}"), [critique(LONG)], model=model)
    (request,) = model.log
    assert last(request).count(LONG) == 4  # as sent, the response, the critique, the cause
    assert "instructions to the solver" in last(request)
    assert "The call's role in the program: solves it" in last(request)


SCRIPT = """
import textgrad_rl_graphs as tgr
from tests.support.scripted import ScriptedModel
from tests.graphs.test_textgrad_faults import TwoLosses, advise, critique

class Wide(tgr.Graph):
    def __init__(self):
        self.part = {name: tgr.LLM(ScriptedModel(lambda _: name), system=tgr.Prompt(name), template="{question}")
                     for name in "fbdace"}
    async def forward(self, question):
        return tgr.join(*[await node(question=question) for node in self.part.values()])

traces = Wide().run_many([{"question": str(number)} for number in range(3)], samples=2)
model = ScriptedModel(advise)
gradients = tgr.backward(traces, [critique(f"Wrong {number}.") for number in range(6)], model=model)
for path, gradient in gradients.prompts.items():
    print(path, gradient.text.replace(chr(10), "|"), gradient.counted())
for request in sorted(model.log, key=lambda request: request.seed):
    print(request)
print([call.key for call in traces[0].ordered()])
"""


def test_the_order_is_the_same_in_every_process() -> None:
    """TextGrad keeps gradients in sets, so prompts differ from process to process."""
    said = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, check=True, timeout=120,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ".:graphs:critics", "PATH": ""},
        ).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert said[0] == said[1]
    assert len(said[0].splitlines()) == 6 + 36 + 1


def test_a_failed_call_aborts_nothing_and_a_retry_duplicates_nothing() -> None:
    traces = answered(samples=4)
    unlucky = traces[2].seed_for(next(iter(traces[2].calls)), "backward")
    broken = ScriptedModel(lambda request: ModelError("HTTP 500") if request.seed == unlucky else advise(request))
    feedback = [critique(f"Wrong {number}.") for number in range(4)]
    first = backward(traces, feedback, model=broken)
    assert len(notes(first)) == 3
    assert [item.trace_id for item in first.failed] == [traces[2].id]
    again = ScriptedModel(advise)
    whole = backward(traces, feedback, model=again, done=first)
    assert [request.seed for request in again.log] == [unlucky]
    assert notes(whole) == [f"system: Wrong {number}." for number in range(4)]
    assert whole.failed == ()


@pytest.mark.parametrize("bad", ["", "Sure!", "{" * 100_000, '{"system": ', '{"other": "x"}', "x" * 100_000])
def test_garbage_for_one_call_fails_that_call_alone(bad: str) -> None:
    traces = answered(samples=4)
    seeds = [traces[1].seed_for(next(iter(traces[1].calls)), "backward", attempt) for attempt in range(3)]
    model = ScriptedModel(lambda request: bad if request.seed in seeds else advise(request))
    gradients = backward(traces, [critique("Wrong.")] * 4, model=model)
    assert len(notes(gradients)) == 3
    assert len(gradients.failed) == 1
    assert len(gradients.failed[0].failure.reason) < 500


def test_importing_opens_no_log_file(tmp_path: Path) -> None:
    code = "import textgrad_rl, textgrad_rl_graphs, logging; assert not logging.getLogger().handlers"
    path = ":".join(str(ROOT / part) for part in (".", "graphs", "critics"))
    subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=120, env={"PYTHONPATH": path, "PATH": ""}
    )
    assert list(tmp_path.iterdir()) == []


class Chain(Graph):
    """Deeper than the interpreter's stack."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.step = LLM(ScriptedModel(lambda _: "on"), system=Prompt("Go on."), template="{text}")

    async def forward(self, text: Value) -> Value:
        for _ in range(self.length):
            text = await self.step(text=text)
        return text


def seconds(length: int) -> float:
    model = ScriptedModel(lambda _: '{"system": "Go faster.", "input.text": "Start better."}')
    start = time.process_time()
    trace = Chain(length).run({"text": "q"})
    gradients = backward([trace], [critique("Wrong.")], model=model)
    assert len(gradients.values) == length
    assert len(trace.ordered()) == length
    assert len(repr(trace)) < 500
    assert len(repr(gradients)) < 500
    return time.process_time() - start


def test_5000_model_calls_in_a_chain_need_no_recursion_and_linear_time() -> None:
    """TextGrad fails at 1,200."""
    assert seconds(5000) < 30 * min(seconds(500) for _ in range(2)) + 0.5  # ten times as long; quadratic: a hundred
