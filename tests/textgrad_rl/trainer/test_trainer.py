import asyncio
import json
import warnings

import pytest

import textgrad_rl as tgr
from tests.support import toy
from tests.support.scripted import ScriptedCritic, ScriptedModel
from textgrad_rl.trainer.diagnosis import TrainingWarning
from textgrad_rl_graphs.errors import ConfigError, DataError, RecordsError, UnknownNameError
from textgrad_rl_graphs.feedback import Feedback
from textgrad_rl_graphs.types import Usage


def model(script=toy.answer, **options):
    return ScriptedModel(script, dialect="plain", **options)


def rewriting(text):
    """The toy world with a rewriting role of its own."""
    return lambda request: text if request.role == "rewrite" else toy.answer(request)


def tree(folder, kind="steps"):
    return {str(path.relative_to(folder)): path.read_bytes() for path in (folder / kind).rglob("*") if path.is_file()}


def last_step(folder):
    return json.loads(sorted((folder / "steps").glob("*/step.json"))[-1].read_text("utf-8"))


# ---- prompts and the gate


def test_prompts_improve_and_only_through_the_gate(tmp_path):
    trainer = toy.trainer(model(), run_dir=tmp_path, refine=tgr.Refine())
    report = trainer.fit(toy.sums(), steps=6)
    first, last = report.evaluations[0][1], report.evaluations[-1][1]
    assert set(trainer.prompts["solve.system"].text.split()) == {"Solve.", "Carry.", "Check."}
    assert last.mean > first.mean + 0.3
    assert [step for step, _ in report.evaluations] == [0, 3, 6]
    assert report.stopped == "all steps done"
    text = "Solve."
    for step in range(1, 7):
        record = json.loads((tmp_path / "steps" / f"{step:06d}" / "step.json").read_text("utf-8"))
        for item in record["proposals"]:
            assert item["old"] == text
            if item["accepted"]:
                assert item["gate"]["p_value"] <= 0.1
                assert item["gate"]["new"] > item["gate"]["old"]
                text = item["new"]
        assert record["prompts"] == {"solve.system": text}
    assert text == trainer.prompts["solve.system"].text


def test_a_harmful_proposal_is_rejected_and_remembered():
    harmful = model(rewriting("Guess."))
    trainer = toy.trainer(harmful, toy.Adder(harmful, "Solve. Carry."), evaluate_every=None)
    report = trainer.fit(toy.sums(), steps=3)
    assert trainer.prompts["solve.system"].text == "Solve. Carry."
    assert trainer.text["solve.system"].rejected == {"solve.system": ["Guess."]}  # once: not tried again
    assert sum("rejected" in line for item in report.history for line in item.prompts) == 1
    gate_runs = [request for request in harmful.asked("solve") if request.messages[0].content == "Guess."]
    assert len(gate_runs) == 16


def test_without_a_gate_every_proposal_gets_in_and_no_metric_is_needed():
    harmful = model(rewriting("Guess."))
    trainer = toy.trainer(harmful, gate=None, metric=None)
    report = trainer.fit(toy.sums(), steps=1)
    assert trainer.prompts["solve.system"].text == "Guess."
    assert report.evaluations == []
    assert "gate" not in {phase for phase, usage in report.usage.items() if usage.calls}


def test_a_function_with_effects_does_not_hide_the_new_prompt_from_gate_and_evaluation(tmp_path):
    class Tooled(tgr.Graph):
        def __init__(self, solver):
            self.solve = tgr.LLM(solver, system=tgr.Prompt("Solve."))
            self.publish = tgr.Function(lambda text: text)  # effects="once", journaled

        async def forward(self, question):
            return await self.publish(await self.solve(question=question))

    solver = model()
    trainer = toy.trainer(solver, Tooled(solver), run_dir=tmp_path, checkpoint_every=100)
    report = trainer.fit(toy.sums(), steps=6)
    assert trainer.prompts["solve.system"].text != "Solve."
    assert report.evaluations[-1][1].mean > report.evaluations[0][1].mean


def test_the_critic_is_swapped_on_the_same_graph():
    solver = model()
    graph, verifier = toy.Adder(solver), tgr.critics.Verifier()
    for critic in (
        tgr.critics.Indicative(verifier),
        toy.critic(solver),
        tgr.critics.ChainOfThought(solver, sees="nothing"),
        0.7 * tgr.critics.Indicative(verifier) + 0.3 * verifier,
    ):
        graph.solve.system.text = "Solve."
        report = toy.trainer(solver, graph, critic=critic, evaluate_every=None).fit(toy.sums(), steps=1)
        assert report.history[-1].metrics["critiques"] > 0
    assert toy.trainer(solver, graph, critic=verifier, evaluate_every=None).fit(toy.sums(), steps=1).history


def test_one_optimizer_per_prompt(tmp_path):
    class Two(tgr.Graph):
        def __init__(self, solver):
            self.one = tgr.LLM(solver, system=tgr.Prompt("Solve."))
            self.two = tgr.LLM(solver, system=tgr.Prompt("Solve. Carry."))

        async def forward(self, question):
            await self.one(question=question)
            return await self.two(question=question)

    solver = model()
    descent = tgr.TextualGradientDescent(model=solver)
    trainer = toy.trainer(solver, Two(solver), text={"two.system": descent}, run_dir=tmp_path, gate=None)
    trainer.fit(toy.sums(), steps=2)
    assert trainer.prompts["one.system"].text == "Solve."
    assert "Check." in trainer.prompts["two.system"].text


# ---- weights


def test_weights_are_updated_on_samples_and_refinements_and_published():
    policy = toy.ToyPolicy(lambda request: "Answer: 1" if request.role == "refine" else toy.answer(request))
    right = ScriptedCritic(lambda case: Feedback(score=float(case.text == "Answer: 1"), critique="Say 1."))
    trainer = toy.trainer(
        policy, critic=right, metric=None, text=None, weights=tgr.CritiqueGRPO(learning_rate=0.5), refine=tgr.Refine()
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = trainer.fit(toy.sums(), steps=2)
    assert policy.weight_version == 2
    assert policy.weights > 0
    for (rows, loss), step in zip(policy.batches, (1, 2), strict=True):
        assert [row.kind for row in rows].count("refinement") == 4  # one per example
        assert [row.kind for row in rows].count("sample") == 12
        assert {row.group.split("/")[0] for row in rows} == {str(step)}
        assert loss == tgr.CritiqueGRPO().loss
    assert report.history[-1].metrics["rows"] == 16
    assert report.history[-1].metrics["grad_norm"] > 0
    assert policy.log[-1].role in ("solve", "refine")


def test_rollouts_of_the_next_step_come_from_the_new_weights(tmp_path):
    policy = toy.ToyPolicy()
    toy.trainer(policy, text=None, weights=tgr.GRPO(), run_dir=tmp_path, evaluate_every=None).fit(toy.sums(), steps=2)
    for step in (1, 2):
        lines = (tmp_path / "steps" / f"{step:06d}" / "calls.jsonl").read_text("utf-8").splitlines()
        solved = [json.loads(line) for line in lines if json.loads(line)["role"] == "solve"]
        assert {item["weight_version"] for item in solved} == {step - 1}
        assert all(set(item["loss_mask"]) == {1} for item in solved)


def test_prompts_are_proposed_at_the_new_weights():
    policy = toy.ToyPolicy()
    seen = []
    script = policy.script
    policy.script = lambda request: seen.append((request.role, policy.weight_version)) or script(request)
    toy.trainer(policy, weights=tgr.GRPO(), evaluate_every=None).fit(toy.sums(), steps=1)
    assert {version for role, version in seen if role in ("critique", "backward")} == {0}
    assert {version for role, version in seen if role == "rewrite"} == {1}


def test_dead_groups_train_nothing_and_are_told_once(tmp_path):
    policy = toy.ToyPolicy(lambda request: "Answer: -1" if request.role == "solve" else toy.answer(request))
    trainer = toy.trainer(policy, text=None, weights=tgr.GRPO(), evaluate_every=None, run_dir=tmp_path)
    with pytest.warns(TrainingWarning, match="step 1: all 4 groups are dead") as caught:
        report = trainer.fit(toy.sums(), steps=3)
    assert len(caught) == 1
    assert len(report.problems) == 1
    assert (policy.weight_version, policy.batches) == (0, [])
    assert report.history[-1].metrics["live_rows"] == 0
    assert json.loads((tmp_path / "report.json").read_text())["problems"] == report.problems


def test_a_gradient_of_exactly_zero_is_told():
    policy = toy.ToyPolicy(scale=0.0)
    trainer = toy.trainer(policy, text=None, weights=tgr.GRPO(), evaluate_every=None)
    with pytest.warns(TrainingWarning, match="the gradient is exactly zero although advantages are not"):
        trainer.fit(toy.sums(), steps=1)


class Pair(tgr.Graph):
    """Two policies side by side."""

    def __init__(self, planner, solver):
        self.plan = tgr.LLM(planner, template="{question}")
        self.solve = tgr.LLM(solver, system="Solve.", template="{question}")

    async def forward(self, question):
        await self.plan(question=question)
        return await self.solve(question=question)


def test_two_policies_are_updated_apart_with_metrics_of_their_own():
    graph = Pair(toy.ToyPolicy(lambda _: "plan", name="p"), toy.ToyPolicy(name="s"))
    trainer = toy.trainer(
        graph.solve.model,
        graph,
        text=None,
        weights={"plan.model": tgr.GRPO(learning_rate=0.1), "solve.model": tgr.CritiqueGRPO()},
        evaluate_every=None,
    )
    report = trainer.fit(toy.sums(), steps=1)
    metrics = report.history[-1].metrics
    assert (metrics["plan.model.learning_rate"], metrics["solve.model.learning_rate"]) == (0.1, 1e-6)
    assert (graph.plan.model.weight_version, graph.solve.model.weight_version) == (1, 1)
    assert graph.plan.model.batches[0][1] == tgr.GRPO().loss
    only = toy.trainer(graph.solve.model, graph, text=None, weights={"solve.model": tgr.GRPO()}, evaluate_every=None)
    only.fit(toy.sums(), steps=1)
    assert (graph.plan.model.weight_version, graph.solve.model.weight_version) == (1, 2)


# ---- records and going on


@pytest.mark.filterwarnings("ignore:step .. all 4 groups are dead")  # the prompt becomes too good for these sums
def test_going_on_after_the_end_extends_the_run(tmp_path):
    straight, policy = tmp_path / "straight", toy.ToyPolicy()
    toy.trainer(policy, run_dir=straight, weights=tgr.GRPO(), evaluate_every=2).fit(toy.sums(), steps=6)
    parts, other = tmp_path / "parts", toy.ToyPolicy()
    toy.trainer(other, run_dir=parts, weights=tgr.GRPO(), evaluate_every=2).fit(toy.sums(), steps=2)
    again = toy.ToyPolicy()
    trainer = toy.trainer(again, run_dir=parts, weights=tgr.GRPO(), evaluate_every=2)
    report = trainer.fit(toy.sums(), steps=6)
    assert tree(parts) == tree(straight)
    assert [item.step for item in report.history] == list(range(7))
    assert (again.weights, again.weight_version) == (policy.weights, policy.weight_version)
    assert (parts / "report.json").read_bytes() == (straight / "report.json").read_bytes()


def test_a_continued_run_remembers_what_lost_at_the_gate(tmp_path):
    def train(steps):
        harmful = model(rewriting("Guess."))
        trainer = toy.trainer(harmful, run_dir=tmp_path, checkpoint_every=1)
        trainer.prompts["solve.system"].text = "Solve. Carry."
        return trainer.fit(toy.sums(), steps=steps), harmful

    train(1)
    report, harmful = train(3)
    assert not [request for request in harmful.log if request.messages[0].content == "Guess."]
    assert last_step(tmp_path)["proposals"][0]["reason"] == "lost before"
    assert report.history[1].prompts[0].startswith("solve.system: rejected")  # read back from step 1


def test_a_finished_run_costs_nothing_to_ask_again(tmp_path):
    toy.trainer(model(), run_dir=tmp_path).fit(toy.sums(), steps=2)
    asked = model()
    report = toy.trainer(asked, run_dir=tmp_path).fit(toy.sums(), steps=2)
    assert asked.log == []
    assert report.history[-1].step == 2
    assert report.evaluations[-1][0] == 2


def test_a_run_that_broke_off_starts_over_from_its_first_state_in_the_same_process(tmp_path):
    toy.trainer(model(), run_dir=tmp_path / "whole", checkpoint_every=100).fit(toy.sums(), steps=4)

    def stop(report):
        if report.step == 3:
            raise KeyboardInterrupt

    solver = model()
    trainer = toy.trainer(solver, run_dir=tmp_path / "broken", checkpoint_every=100, callbacks=[stop])
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(toy.sums(), steps=4)
    assert trainer.prompts["solve.system"].text != "Solve."  # as in a notebook: the objects have moved on
    trainer.callbacks, before = (), len(solver.log)
    trainer.fit(toy.sums(), steps=4)
    assert tree(tmp_path / "broken") == tree(tmp_path / "whole")
    step_four = [item for item in solver.log[before:] if item not in solver.log[:before]]
    assert len(step_four) == len(solver.log) - before  # everything before came from the journal


def test_evaluating_after_the_run_leaves_its_folder_alone(tmp_path):
    trainer = toy.trainer(model(), run_dir=tmp_path)
    trainer.fit(toy.sums(), steps=1)
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    found = trainer.evaluate(toy.sums().test)
    assert found.n == 12
    assert sorted(str(path) for path in tmp_path.rglob("*")) == before


def test_the_run_directory_of_another_configuration_is_refused_with_the_difference(tmp_path):
    toy.trainer(model(), run_dir=tmp_path).fit(toy.sums(), steps=1)
    with pytest.raises(RecordsError, match=r"  samples: there 3 x 4, here 5 x 4\n  seed: there 0, here 1\nChoose"):
        toy.trainer(model(), run_dir=tmp_path, samples=5, seed=1).fit(toy.sums(), steps=1)
    with pytest.raises(RecordsError, match=r"  data: there sums \w+, here sums \w+\n"):
        toy.trainer(model(), run_dir=tmp_path).fit(toy.sums(first=21), steps=1)
    with pytest.raises(RecordsError, match="holds a run already"):
        toy.trainer(model(), run_dir=tmp_path, resume="never").fit(toy.sums(), steps=1)


def test_cadence_budget_and_steps_may_change(tmp_path):
    toy.trainer(model(), run_dir=tmp_path).fit(toy.sums(), steps=1)
    trainer = toy.trainer(
        model(), run_dir=tmp_path, evaluate_every=1, checkpoint_every=1, budget=tgr.Budget(tokens=10**9), resume="must"
    )
    assert trainer.fit(toy.sums(), steps=2).history[-1].step == 2


def test_a_run_that_comes_out_differently_is_told_and_its_first_record_kept(tmp_path):
    def stop(report):
        if report.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        toy.trainer(model(), run_dir=tmp_path, checkpoint_every=100, callbacks=[stop]).fit(toy.sums(), steps=4)
    (tmp_path / "journal" / "000000.jsonl").unlink()
    first = (tmp_path / "steps" / "000001" / "cases.jsonl").read_bytes()
    moody = model(lambda request: "Answer: 7" if request.role == "solve" else toy.answer(request))
    with pytest.warns(TrainingWarning, match="step 1 was committed before the run was interrupted and came out differ"):
        toy.trainer(moody, run_dir=tmp_path, checkpoint_every=100).fit(toy.sums(), steps=1)
    assert (tmp_path / "steps" / "000001" / "cases.jsonl").read_bytes() == first


def test_no_run_dir_keeps_no_records(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    toy.trainer(model()).fit(toy.sums(), steps=1)
    assert list(tmp_path.iterdir()) == []


def test_the_picture_and_the_report_are_written(tmp_path):
    toy.trainer(model(), run_dir=tmp_path).fit(toy.sums(), steps=1)
    assert (tmp_path / "accuracy.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((tmp_path / "report.json").read_text())["steps"] == 1


# ---- usage and budget


def test_the_usage_by_phase_is_the_models_own_count():
    counted = {}

    def answer(request):
        counted[request.role] = counted.get(request.role, 0) + 1
        return toy.answer(request)

    solver = model(answer)
    report = toy.trainer(solver, refine=tgr.Refine(trigger="incorrect")).fit(toy.sums(), steps=3)
    total = sum((item for item in report.usage.values()), Usage())
    assert total.calls == len(solver.log)
    assert total.generated_tokens == sum(len(toy.answer(request)) for request in solver.log)
    for phase, role in (
        ("critique", "critique"),
        ("backward", "backward"),
        ("refine", "refine"),
        ("rewrite", "rewrite"),
    ):
        assert report.usage[phase].calls == counted[role] > 0
    assert report.usage["rollout"].calls == 3 * 12
    assert report.usage["evaluate"].calls == 2 * 12
    assert report.usage["gate"].calls == counted["solve"] - 3 * 12 - 2 * 12 > 0
    assert report.generated_tokens == total.generated_tokens - report.usage["evaluate"].generated_tokens
    assert report.history[-1].usage.generated_tokens == report.generated_tokens


def test_the_usage_of_a_continued_run_counts_what_was_paid_before(tmp_path):
    whole = toy.trainer(model()).fit(toy.sums(), steps=4).usage
    toy.trainer(model(), run_dir=tmp_path).fit(toy.sums(), steps=3)
    parts = toy.trainer(model(), run_dir=tmp_path).fit(toy.sums(), steps=4).usage
    assert {phase: item for phase, item in parts.items() if item.calls} == {
        phase: item for phase, item in whole.items() if item.calls
    }


def test_a_budget_of_tokens_stops_between_steps_and_a_larger_one_goes_on(tmp_path):
    free = toy.trainer(model()).fit(toy.sums(), steps=5)
    limit = free.history[2].usage.generated_tokens
    trainer = toy.trainer(model(), budget=tgr.Budget(tokens=limit, hard=False), run_dir=tmp_path)
    report = trainer.fit(toy.sums(), steps=5)
    assert report.stopped == f"the budget of {limit:,} tokens is used up"
    assert report.history[-1].step == 2
    assert report.history[-1].evaluation is not None  # the end is always evaluated
    assert json.loads((tmp_path / "report.json").read_text())["stopped"] == report.stopped
    going_on = toy.trainer(model(), budget=tgr.Budget(tokens=10 * limit), run_dir=tmp_path).fit(toy.sums(), steps=5)
    assert going_on.history[-1].step == 5
    assert going_on.generated_tokens == free.generated_tokens


# ---- what cannot work


def test_nothing_trainable_is_an_error_that_says_what_is_missing():
    frozen = toy.Adder(model())
    frozen.solve.system = "Solve."
    with pytest.raises(ConfigError, match="nothing to train with text=: the graph has no Prompt"):
        toy.trainer(model(), frozen)
    with pytest.raises(ConfigError, match=r"the graph has solve\.system, text=None, weights=None"):
        toy.trainer(model(), text=None)
    with pytest.raises(ConfigError, match="nothing to train"):
        toy.trainer(model(), text=None, weights=tgr.GRPO())  # the model is frozen


def test_a_gate_needs_a_metric():
    with pytest.raises(ConfigError, match=r"the gate needs a yardstick: pass metric=\.\.\. .*gate=None"):
        toy.trainer(model(), metric=None)
    toy.trainer(toy.ToyPolicy(), metric=None, text=None, weights=tgr.GRPO())  # no prompts, no gate


def test_unknown_paths_are_met_with_the_known_ones():
    descent = tgr.TextualGradientDescent(model=model())
    with pytest.raises(UnknownNameError, match=r"unknown Prompt path 'solve\.sistem'\. Did you mean 'solve\.system'\?"):
        toy.trainer(model(), text={"solve.sistem": descent})
    with pytest.raises(UnknownNameError, match=r"unknown policy path 'solve\.system'"):
        toy.trainer(toy.ToyPolicy(), weights={"solve.system": tgr.GRPO()})


@pytest.mark.parametrize("split", ["train", "gate", "validation"])
def test_empty_splits_are_an_error_before_anything_is_paid(split):
    full = toy.sums()
    parts = {name: getattr(full, name) for name in ("train", "gate", "validation") if name != split}
    solver = model()
    with pytest.raises(DataError, match=split):
        toy.trainer(solver).fit(tgr.Task("part", **parts), steps=1)
    assert solver.log == []


def test_a_gate_split_on_which_nothing_could_pass_is_an_error_before_anything_is_paid():
    solver = model()
    with pytest.raises(DataError, match="nothing could pass"):
        toy.trainer(solver).fit(toy.sums(gate=3), steps=1)
    assert solver.log == []


def test_splits_that_nobody_uses_may_be_empty():
    task = tgr.Task("train only", train=toy.sums().train)
    toy.trainer(model(), gate=None, metric=None).fit(task, steps=1)


@pytest.mark.parametrize("name", ["samples", "examples_per_step", "checkpoint_every"])
def test_numbers_below_one_are_rejected(name):
    with pytest.raises(ConfigError, match=f"{name} must be at least 1, got 0"):
        toy.trainer(model(), **{name: 0})


def test_a_negative_number_of_steps_is_rejected_and_none_evaluates():
    solver = model()
    with pytest.raises(ConfigError, match=r"steps must be at least 0 .*, got -1"):
        toy.trainer(solver).fit(toy.sums(), steps=-1)
    assert solver.log == []
    assert [item.step for item in toy.trainer(solver).fit(toy.sums(), steps=0).history] == [0]


def test_a_run_directory_is_written_by_one_run_at_a_time(tmp_path):
    pytest.importorskip("fcntl")

    def again(report):
        if report.step == 1:
            toy.trainer(model(), run_dir=tmp_path).fit(toy.sums(), steps=1)

    with pytest.raises(RecordsError, match=r"the run directory .* is being written already, by another process"):
        toy.trainer(model(), run_dir=tmp_path, callbacks=[again]).fit(toy.sums(), steps=2)
    assert toy.trainer(model(), run_dir=tmp_path).fit(toy.sums(), steps=2).history[-1].step == 2


def test_other_settings_that_cannot_work_are_rejected():
    with pytest.raises(UnknownNameError, match="unknown credit 'blame'"):
        toy.trainer(model(), credit="blame")
    with pytest.raises(ConfigError, match=r"deterministic=True needs policies .*: solve\.model"):
        toy.trainer(toy.ToyPolicy(), weights=tgr.GRPO(), deterministic=True)
    toy.trainer(toy.ToyPolicy(deterministic=True), weights=tgr.GRPO(), deterministic=True)
    with pytest.raises(ConfigError, match="evaluating needs a yardstick"):
        toy.trainer(model(), metric=None, gate=None).evaluate(toy.sums().test)


def test_two_evaluations_of_one_trainer_are_paired_by_their_seeds():
    solver = model()
    trainer = toy.trainer(solver)
    before = trainer.evaluate(toy.sums().test, samples=2)
    assert trainer.evaluate(toy.sums().test, samples=2).values == before.values
    seeds = {request.seed for request in solver.log}
    trainer.prompts["solve.system"].text = "Solve. Carry."
    after = trainer.evaluate(toy.sums().test, samples=2)
    assert {request.seed for request in solver.log} == seeds
    assert all(after.values[key] >= before.values[key] for key in before.values)
    assert sorted(after.pass_at) == [1, 2]


def test_the_loop_runs_inside_a_loop_that_is_running():
    async def notebook():
        return toy.trainer(model()).fit(toy.sums(), steps=1), await toy.trainer(model()).afit(toy.sums(), steps=1)

    one, two = asyncio.run(notebook())
    assert one.summary() == two.summary()


def test_callbacks_get_every_step():
    steps = []
    toy.trainer(model(), callbacks=[lambda report: steps.append((report.step, report.steps))]).fit(toy.sums(), steps=2)
    assert steps == [(0, 2), (1, 2), (2, 2)]
