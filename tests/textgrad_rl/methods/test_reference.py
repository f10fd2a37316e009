from dataclasses import replace
from typing import Any

import pytest

import textgrad_rl as tgr
from textgrad_rl.methods.advantages import advantages
from textgrad_rl.methods.encode import question_ids
from textgrad_rl.methods.reference import with_reference, with_teacher
from textgrad_rl.policies import Segment
from textgrad_rl_graphs.feedback import Feedback
from textgrad_rl_graphs.roles import RefineRole

RIGHT, WRONG = Feedback(score=1.0, correct=True), Feedback(score=0.0, correct=False, critique="It is off by one.")


class One(tgr.Graph):
    def __init__(self, model: Any) -> None:
        self.solve = tgr.LLM(model, template="{question}", sampling=tgr.Sampling(max_tokens=6))

    async def forward(self, question: Any) -> Any:
        return await self.solve(question=question)


def test_the_teacher_scores_the_response_s_own_tokens_under_the_prompt_that_shows_the_critique(new_policy):
    policy = new_policy()
    graph, example = One(policy), tgr.Example({"question": "a"}, id="q")
    traces = [graph.run(example, sample=sample, step=1) for sample in range(3)]
    feedback = [WRONG, RIGHT, WRONG]
    gradients = tgr.backward(traces, feedback, parameters={"solve.model"})
    rows = advantages(traces, feedback)["solve.model"]
    taught = with_teacher(policy, rows, traces, gradients)
    assert [bool(row.reference_logprobs) for row in taught] == [True, False, True]
    assert [replace(row, reference_logprobs=()) for row in taught] == rows
    for row, trace in zip(taught[::2], traces[::2], strict=True):
        messages = RefineRole().render(
            policy.dialect, question="a", response=trace.output.text, critique=WRONG.critique
        )
        shown = replace(row, context=Segment(question_ids(policy, messages)))
        assert list(row.reference_logprobs) == pytest.approx(policy.log_probs([shown])[0], abs=1e-5)
        assert list(row.reference_logprobs) != pytest.approx(row.logprobs, abs=1e-2)


def test_a_frozen_policy_scores_the_same_tokens_in_the_same_context(new_policy):
    policy, other = new_policy(), new_policy(seed=1)
    trace = One(policy).run(tgr.Example({"question": "a"}), step=1)
    (row,) = with_reference(other, advantages([trace], [RIGHT])["solve.model"])
    assert list(row.reference_logprobs) == pytest.approx(other.log_probs([row])[0], abs=1e-5)
    (same,) = with_reference(policy.fork("first"), [row])
    assert list(same.reference_logprobs) == pytest.approx(row.logprobs, abs=1e-5)
