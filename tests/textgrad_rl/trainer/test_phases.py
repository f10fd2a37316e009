from dataclasses import replace

import pytest

import textgrad_rl as tgr
from tests.support import toy
from tests.support.scripted import ScriptedModel
from textgrad_rl.trainer.phases import draw_examples, step_metrics
from textgrad_rl_graphs.feedback import Feedback
from textgrad_rl_graphs.refine import Refinement

EXAMPLES = toy.sums().train  # 20


@pytest.mark.parametrize("count", [1, 3, 7, 20, 50])
def test_every_example_is_drawn_once_per_epoch(count):
    drawn = [item.key for step in range(1, 21) for item in draw_examples(EXAMPLES, count, step, seed=0)]
    for epoch in range(len(drawn) // 20):
        assert len(set(drawn[epoch * 20 : epoch * 20 + 20])) == 20


def test_the_order_depends_on_seed_and_epoch_and_on_nothing_else():
    def order(seed, steps=range(1, 5)):
        return [item.key for step in steps for item in draw_examples(EXAMPLES, 5, step, seed)]

    assert order(0) == order(0)
    assert order(0, [3]) == order(0)[10:15]  # a resumed run draws what it would have drawn
    assert order(0) != order(1)
    assert order(0) != order(0, range(5, 9))
    assert len(draw_examples(EXAMPLES, 50, 1, 0)) == 50


def test_the_numbers_of_a_step():
    graph = toy.Adder(ScriptedModel(lambda _: "1234"))
    traces = [graph.run(item, sample=sample) for item in EXAMPLES[:3] for sample in range(2)]
    lost = Feedback(score=None, fault="critic")
    feedback = [
        Feedback(score=1.0, correct=True), Feedback(score=0.0, correct=False, critique="x"),  # live
        Feedback(score=0.0, correct=False, fault="policy"), Feedback(score=0.0, correct=False),  # dead
        Feedback(score=1.0, correct=True), lost,  # one score left: dead
    ]  # fmt: skip
    metrics = step_metrics(traces, feedback, [])
    assert {name: metrics[name] for name in ("samples", "groups", "dead_groups", "unscored", "policy_faults")} == {
        "samples": 6, "groups": 3, "dead_groups": 2, "unscored": 1, "policy_faults": 1,
    }  # fmt: skip
    assert (metrics["reward"], metrics["accuracy"], metrics["critiques"], metrics["output_tokens"]) == (0.4, 0.4, 1, 4)
    call = traces[2].ordered()[0]
    right, wrong = Feedback(score=1.0, correct=True), Feedback(score=0.0, correct=False)
    refinements = [
        Refinement(traces[2], call, "x", feedback=right, kept=True),
        Refinement(traces[3], call, "x", feedback=wrong),
        Refinement(traces[3], call, "x"),
    ]
    metrics = step_metrics(traces, feedback, refinements)
    assert (metrics["refined"], metrics["refined_right"], metrics["kept"]) == (3, 1, 1)
    assert metrics["dead_groups"] == 1  # the kept refinement brings a group to life


def test_runs_with_an_answer_cut_off_at_its_limit_are_counted():
    traces = [toy.Adder(ScriptedModel(lambda _: "1")).run(item) for item in EXAMPLES[:3]]
    call = traces[1].ordered()[0]
    call.completion = replace(call.completion, finish_reason="length")
    assert step_metrics(traces, [Feedback(score=1.0)] * 3, [])["truncated"] == 1


def test_a_step_without_any_score_has_numbers_too():
    trace = toy.Adder(tgr.FunctionModel(lambda _: "1")).run(EXAMPLES[0])
    metrics = step_metrics([trace], [Feedback(score=None, fault="critic")], [])
    assert (metrics["reward"], metrics["accuracy"], metrics["dead_groups"], metrics["unscored"]) == (0.0, 0.0, 1, 1)
