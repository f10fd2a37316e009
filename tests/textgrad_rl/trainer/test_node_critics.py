"""Critics of inner nodes in the loop: text, credit, records, budget and resume."""

import json

import pytest

import textgrad_rl as tgr
from tests.support import toy
from tests.support.scripted import ScriptedModel
from textgrad_rl.trainer.estimate import estimate
from textgrad_rl_graphs.errors import ConfigError, DataError, RecordsError, UnknownNameError
from textgrad_rl_graphs.feedback import Feedback


class Two(tgr.Graph):
    """The plan is a note that nothing downstream depends on; the solver is right at its own odds."""

    def __init__(self, model, critic):
        self.plan = tgr.LLM(model, system=tgr.Prompt("Plan."), template="{question}", critic=critic)
        self.solve = tgr.LLM(model, system=tgr.Prompt("Solve."), template="{question}")

    async def forward(self, question):
        await self.plan(question=question)
        return await self.solve(question=question)


def model():
    return ScriptedModel(toy.answer, dialect="plain")


def judge(solver):
    return tgr.critics.ChainOfThought(solver, sees="nothing", name="plan_judge")


def trainer(solver=None, critic=None, **settings):
    solver = solver or model()
    graph = Two(solver, critic or judge(solver))
    return toy.trainer(solver, graph, **{"critic": tgr.critics.Verifier(), "gate": None, **settings})


def records(folder, step=1, name="cases"):
    path = folder / "steps" / f"{step:06d}" / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_the_critique_of_an_inner_node_changes_that_node_s_prompt_alone():
    found = trainer()
    found.fit(toy.sums(), steps=2)
    assert found.prompts["solve.system"].text == "Solve."  # a verifier writes no critiques
    assert set(found.prompts["plan.system"].text.split()) & set(toy.DIRECTIVES)


def test_records_name_the_node_and_the_call(tmp_path):
    trainer(run_dir=tmp_path).fit(toy.sums(), steps=1)
    outputs = [item for item in records(tmp_path) if "node" not in item]
    inner = [item for item in records(tmp_path) if "node" in item]
    assert len(outputs) == len(inner) == 12
    calls = {(call["example_id"], call["sample"], call["call_key"]): call for call in records(tmp_path, name="calls")
             if call["role"] == "solve"}  # fmt: skip
    for item in inner:
        call = calls[item["example_id"], item["sample"], item["call_key"]]
        assert (item["node"], item["output"]) == (call["node"], call["text"]) == ("plan", item["output"])
        assert item["critique"] == "It is off by one. Verdict: wrong"
        assert item["trace"] in {output["trace"] for output in outputs}


def test_metrics_are_kept_apart_by_node_and_components_by_name():
    components = [tgr.critics.Verifier(name="whole"), tgr.critics.Verifier(lambda *_: 0.5, name="half")]
    report = trainer(critic=0.5 * components[0] + 0.5 * components[1]).fit(toy.sums(), steps=1)
    metrics = report.history[-1].metrics
    assert metrics["plan.components.half"] == 0.5
    whole = metrics["plan.components.whole"]
    assert metrics["plan.reward"] == pytest.approx(0.5 * whole + 0.25)
    assert metrics["plan.accuracy"] == pytest.approx(whole)
    assert metrics["plan.unscored"] == 0


def test_critics_of_nodes_are_paid_once_counted_and_journaled(tmp_path):
    solver = model()
    report = trainer(solver, run_dir=tmp_path, checkpoint_every=100).fit(toy.sums(), steps=1)
    assert report.usage["critique"].calls == len(solver.asked("critique")) == 12

    def stop(item):
        if item.step == 1:
            raise KeyboardInterrupt

    broken, other = model(), tmp_path / "broken"
    with pytest.raises(KeyboardInterrupt):
        trainer(broken, run_dir=other, checkpoint_every=100, callbacks=[stop]).fit(toy.sums(), steps=1)
    again = model()
    resumed = trainer(again, run_dir=other, checkpoint_every=100).fit(toy.sums(), steps=1)
    assert again.asked("critique") == []
    assert resumed.usage["critique"].calls == 12
    assert (other / "steps" / "000001" / "cases.jsonl").read_bytes() == (
        tmp_path / "steps" / "000001" / "cases.jsonl"
    ).read_bytes()


def test_a_budget_stops_before_a_critic_of_a_node_too():
    solver = model()
    budget = tgr.Budget(calls=30, hard=True)  # 24 of the rollout, so 6 critiques
    report = trainer(solver, evaluate_every=None, budget=budget).fit(toy.sums(), steps=1)
    assert report.stopped != "all steps done"
    assert len(solver.asked("critique")) == 6


def test_an_estimate_counts_them():
    found = estimate(trainer(evaluate_every=None), toy.sums(), steps=3)
    assert found.calls["critique"].low == found.calls["critique"].high == 36


def test_another_critic_of_a_node_is_another_run(tmp_path):
    trainer(run_dir=tmp_path).fit(toy.sums(), steps=1)
    with pytest.raises(RecordsError, match=r"critic of plan: there ChainOfThought"):
        trainer(run_dir=tmp_path, critic=tgr.critics.Verifier()).fit(toy.sums(), steps=1)


def test_references_that_it_needs_are_checked_before_anything_is_paid():
    solver = model()
    critic = tgr.critics.ChainOfThought(solver, sees="solution")
    with pytest.raises(DataError, match="solution"):
        trainer(solver, critic).fit(toy.sums(), steps=1)
    assert solver.log == []


def test_local_credit_needs_a_critic_and_a_known_name():
    with pytest.raises(ConfigError, match="none has"):
        toy.trainer(model(), credit="local")
    with pytest.raises(UnknownNameError, match="unknown credit"):
        trainer(credit="global")
    assert trainer(credit="local").credit == "local"


def test_local_credit_reaches_the_rows_of_the_update():
    policy = toy.ToyPolicy()
    even = tgr.critics.Verifier(lambda text, example: int(text.split()[-1]) % 2 == 0)
    settings = {"critic": tgr.critics.Verifier(), "text": None, "weights": tgr.GRPO(), "evaluate_every": None}
    toy.trainer(policy, Two(policy, even), credit="local", samples=4, **settings).fit(toy.sums(), steps=1)
    ((rows, _),) = policy.batches
    plans = [row for row in rows if row.group.endswith("/plan")]
    assert len(plans) == len(rows) - len(plans) == 16
    assert [row.reward for row in plans] == [float(chr(row.output_ids[-1]) in "02468") for row in plans]


def test_a_judge_of_a_node_that_is_down_costs_the_step_nothing():
    class Down:
        name = "down"

        async def acritique(self, cases, *, critiques=True):
            return [Feedback(score=None, critique="no route", fault="critic") for _ in cases]

    report = trainer(critic=Down()).fit(toy.sums(), steps=1)
    metrics = report.history[-1].metrics
    assert (metrics["plan.unscored"], metrics["unscored"]) == (12, 0)
