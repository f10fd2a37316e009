"""An agent of a library from PyPI as a node: real HTTP, real sampling, what it answers does not matter."""

import runpy
from pathlib import Path
from typing import Any

import pytest

import textgrad_rl as tgr
from textgrad_rl.policies.rows import Row, Segment

pytest.importorskip("pydantic_ai")

SCRIPT = Path(__file__).parents[2] / "examples" / "agent_as_node.py"


@pytest.fixture(scope="module")
def example() -> dict[str, Any]:
    return runpy.run_path(str(SCRIPT))


def test_the_agent_asks_again_where_a_step_is_wrong(example: dict[str, Any]) -> None:
    answers = {1: "Step 1: 14 - 37, so 23. Answer: 23", 3: "Step 1: 14 - 37, so -23. Answer: -23"}
    model = tgr.FunctionModel(lambda request: answers[sum(m.role != "system" for m in request.messages)])
    trace = tgr.Agent(model, example["solve"]).run({"question": "14 - 37 ="})
    first, second, _ = trace.ordered()
    assert first.messages == (tgr.Message("system", "Solve step by step."), tgr.Message("user", "14 - 37 ="))
    assert "14 - 37 is not 23" in second.messages[-1].content
    assert second.inputs["history"] is first.output
    assert trace.output is not None
    assert trace.output.text == answers[3]


def test_the_calls_of_the_agent_hold_what_the_policy_sampled(example: dict[str, Any]) -> None:
    policy = tgr.load_policy("pocket")
    graph = tgr.Agent(policy, example["solve"], sampling=tgr.Sampling(max_tokens=60))
    trace = graph.run({"question": example["QUESTION"]}, seed=3)
    completions = [call.completion for call in trace.ordered() if call.completion is not None]
    rows = [
        Row(
            context=Segment(item.prompt_ids), output_ids=item.output_ids, logprobs=item.logprobs,
            advantage=0.0, reward=0.0, group="",
        )
        for item in completions
    ]  # fmt: skip
    assert rows
    for row, recomputed in zip(rows, policy.log_probs(rows), strict=True):
        assert recomputed == pytest.approx(row.logprobs, abs=1e-4)
    again = graph.run({"question": example["QUESTION"]}, seed=3)
    assert [call.completion for call in again.ordered() if call.completion is not None] == completions


def test_the_script_shows_every_call_its_critique_and_its_row(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(SCRIPT), run_name="__main__")
    said = capsys.readouterr().out
    assert "llm: State the final answer" in said
    assert "result: what the agent returned" in said
    assert said.count("critique: ") >= 2
    assert said.count("sampled tokens") >= 4
