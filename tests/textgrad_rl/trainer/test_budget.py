"""A hard budget ends a run cleanly, and a larger one goes on as if nothing had happened."""

import json

import pytest

import textgrad_rl as tgr
from tests.support import toy
from tests.support.scripted import ScriptedModel, random_latency
from textgrad_rl_graphs.types import Sampling

STEPS = 4


def model():
    return ScriptedModel(toy.answer, dialect="plain", latency=random_latency(3, 0.002))


def trainer(solver, folder, **settings):
    return toy.trainer(solver, run_dir=folder, refine=tgr.Refine(trigger="incorrect"), **settings)


def steps(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in (folder / "steps").rglob("*.json*")}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The run that nothing stopped: its folder, report and number of calls."""
    folder, solver = tmp_path_factory.mktemp("whole") / "run", model()
    report = trainer(solver, folder).fit(toy.sums(), steps=STEPS)
    return folder, report, len(solver.log)


@pytest.mark.parametrize("limit", [1, 5, 12, 20, 40, 60, 100])
def test_a_stopped_run_goes_on_with_a_larger_budget_and_nothing_is_paid_twice(whole, tmp_path, limit):
    folder, free, calls = whole
    first = model()
    report = trainer(first, tmp_path / "run", budget=tgr.Budget(calls=limit)).fit(toy.sums(), steps=STEPS)
    assert report.stopped == f"the budget of {limit} calls is used up"
    assert len(first.log) == limit  # every one of them, and the answers are in the journal
    committed = steps(tmp_path / "run")
    assert len(committed) == 3 * len(report.history)  # the broken step is not among them
    assert all(steps(folder)[name] == content for name, content in committed.items())
    assert json.loads((tmp_path / "run/report.json").read_text())["stopped"] == report.stopped
    second = model()
    going_on = trainer(second, tmp_path / "run", budget=tgr.Budget(calls=calls)).fit(toy.sums(), steps=STEPS)
    assert going_on.stopped == "all steps done"
    assert len(first.log) + len(second.log) == calls
    assert steps(tmp_path / "run") == steps(folder)
    assert going_on.usage == free.usage


def test_every_phase_counts(whole, tmp_path):
    _, free, calls = whole
    assert calls == sum(item.calls for item in free.usage.values())
    assert {phase for phase, item in free.usage.items() if item.calls} == {
        "backward", "critique", "evaluate", "gate", "refine", "rewrite", "rollout"
    }  # fmt: skip
    report = trainer(model(), tmp_path, budget=tgr.Budget(calls=calls - 1)).fit(toy.sums(), steps=STEPS)
    assert report.stopped.startswith("the budget of")
    assert report.history[-1].step == STEPS - 1


def test_a_budget_that_is_just_enough_stops_nothing(whole, tmp_path):
    _, _, calls = whole
    report = trainer(model(), tmp_path, budget=tgr.Budget(calls=calls)).fit(toy.sums(), steps=STEPS)
    assert report.stopped == "all steps done"


def test_tokens_of_all_phases_count_and_are_not_exceeded(whole, tmp_path):
    _, free, _ = whole
    limit = sum(item.generated_tokens for item in free.usage.values()) // 2
    solver = model()
    graph = toy.Adder(solver)
    graph.solve.sampling = Sampling(max_tokens=16)
    report = toy.trainer(solver, graph, run_dir=tmp_path, budget=tgr.Budget(tokens=limit)).fit(toy.sums(), steps=STEPS)
    assert report.stopped.startswith(f"the budget of {limit:,} tokens is used up")
    assert sum(item.generated_tokens for item in report.usage.values()) <= limit
    assert solver.peak > 1


def test_prompts_have_the_texts_of_the_last_committed_step(tmp_path):
    for limit in (60, 80, 100, 120):
        going = trainer(model(), tmp_path / str(limit), budget=tgr.Budget(calls=limit))
        report = going.fit(toy.sums(), steps=STEPS)
        last = json.loads((tmp_path / str(limit) / f"steps/{report.history[-1].step:06d}/step.json").read_text())
        assert {path: prompt.text for path, prompt in going.prompts.items()} == last["prompts"]


def test_a_swallowed_refusal_ends_the_step_all_the_same(tmp_path):
    """A Function's `except Exception`, ours or the user's, must not turn a refusal into a bad score."""

    class Careless(tgr.Graph):
        def __init__(self, solver):
            self.solve = tgr.LLM(solver, system=tgr.Prompt("Solve."))

        async def forward(self, question):
            try:
                return await self.solve(question=question)
            except Exception:
                return question

    solver = model()
    report = toy.trainer(solver, Careless(solver), run_dir=tmp_path, budget=tgr.Budget(calls=20)).fit(
        toy.sums(), steps=1
    )
    assert report.stopped == "the budget of 20 calls is used up"
    assert [item.step for item in report.history] == [0]
    assert not (tmp_path / "steps/000001").exists()


def test_a_stop_before_the_first_commit_leaves_an_empty_report(tmp_path):
    report = trainer(model(), tmp_path, budget=tgr.Budget(calls=1)).fit(toy.sums(), steps=1)
    assert (report.history, report.evaluations) == ([], [])
    assert json.loads((tmp_path / "report.json").read_text())["steps"] == 0


def test_after_the_run_its_budget_binds_nothing(tmp_path):
    going = trainer(model(), tmp_path, budget=tgr.Budget(calls=30))
    report = going.fit(toy.sums(), steps=STEPS)
    usage = dict(report.usage)
    assert going.evaluate(toy.sums().test).n == 12
    assert report.usage == usage  # what was asked by hand is not part of the run


def test_answers_under_way_are_kept_when_something_else_fails(tmp_path):
    solver = model()

    class Broken(tgr.Graph):
        def __init__(self):
            self.solve = tgr.LLM(solver, system=tgr.Prompt("Solve."))

        async def forward(self, question):
            answer = await self.solve(question=question)
            raise ZeroDivisionError(answer.text)

    with pytest.raises(ZeroDivisionError):
        toy.trainer(solver, Broken(), run_dir=tmp_path, metric=None, gate=None).fit(toy.sums(), steps=1)
    journal = (tmp_path / "journal/000000.jsonl").read_text().splitlines()
    assert len(journal) == len(solver.log) == 12
