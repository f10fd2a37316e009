import warnings

import pytest

import textgrad_rl as tgr
from tests.support import toy
from tests.support.scripted import ScriptedModel
from textgrad_rl.trainer.probe import evaluation_usage, evaluations, probing, step_usage


@pytest.mark.parametrize(
    ("every", "steps", "number"), [(None, 9, 0), (3, 0, 1), (3, 1, 2), (3, 3, 2), (3, 4, 3), (3, 9, 4), (10, 9, 2)]
)
def test_evaluations_are_those_of_fit(every, steps, number):
    policy = toy.ToyPolicy()
    trainer = toy.trainer(policy, text=None, weights=tgr.GRPO(), evaluate_every=every)
    assert evaluations(trainer, steps) == number
    if steps < 4:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert len(trainer.fit(toy.sums(), steps=steps).evaluations) == number


async def test_a_step_is_counted_and_leaves_no_trace():
    policy = toy.ToyPolicy()
    trainer = toy.trainer(policy, weights=tgr.GRPO(), gate=None)
    with probing(trainer, examples_per_step=2) as probe:
        usage, outcome = await step_usage(probe, toy.sums(), 1)
        assert trainer.prompts["solve.system"].text != "Solve."
        trainer.text["solve.system"].rejected["solve.system"] = ["Guess."]
    assert usage["rollout"].calls == len(outcome.traces) == 6
    assert sum(item.calls for item in usage.values()) == len(policy.log)
    assert (trainer.prompts["solve.system"].text, trainer.text["solve.system"].rejected) == ("Solve.", {})
    assert (policy.weight_version, policy.batches, trainer.examples_per_step) == (0, [], 4)


async def test_an_evaluation_is_counted_where_there_is_one():
    solver = ScriptedModel(toy.answer, dialect="plain")
    assert (await evaluation_usage(toy.trainer(solver), toy.sums(), 5)).calls == 5
    assert (await evaluation_usage(toy.trainer(solver, evaluate_every=None), toy.sums(), 5)).calls == 0
