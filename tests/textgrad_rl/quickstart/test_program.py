"""The quickstart's task, arms and critics, with steps small enough for a test."""

from functools import partial
from pathlib import Path

import pytest

import textgrad_rl as tgr
from textgrad_rl.quickstart import judges, program

SMALL = {"samples": 2, "examples_per_step": 3, "evaluate_every": None}


@pytest.fixture(scope="module")
def task() -> tgr.Task:
    return program.load_task()


def test_no_test_question_occurs_elsewhere(task: tgr.Task) -> None:
    assert program.overlap(task) == 0
    leaked = tgr.Example(task.train[0].inputs, answer="x")
    leaky = tgr.Task("leaky", train=task.train[:5], gate=task.gate, validation=task.validation, test=[leaked])
    assert program.overlap(leaky) == 1


def test_the_task_is_large_enough_and_its_solutions_are_right(task: tgr.Task) -> None:
    assert len(task.test) >= 2000
    assert len(task.gate) >= 64
    assert len(task.validation) >= 256
    verifier = tgr.critics.Verifier(tgr.critics.reasoning_gym("chain_sum"))
    for example in task.test[:20]:
        graph = _Constant(example.solution or "")
        trace = graph.run(example)
        assert verifier.critique([tgr.Case(example, trace, trace.output)])[0].correct


class _Constant(tgr.Graph):
    def __init__(self, text: str) -> None:
        self.say = tgr.Function(lambda: text, effects="none")

    async def forward(self, question: tgr.Value) -> tgr.Value:
        return await self.say()


@pytest.mark.filterwarnings("ignore:.*groups are dead:textgrad_rl.TrainingWarning")  # six samples may all be wrong
@pytest.mark.parametrize("arm", [arm for arm in program.ARMS if arm != "base"])
def test_every_arm_trains_what_it_says(arm: str, task: tgr.Task) -> None:
    trainer = program.build(arm, **SMALL, gate=None, critic="verifier" if arm == "grpo" else "indicative")
    policy = trainer.policies["solve.model"]
    report = trainer.fit(task, steps=1)
    metrics = report.history[-1].metrics
    assert bool(trainer.weights) == (arm != "prompts") == bool(metrics["trains_weights"])
    assert bool(trainer.text) == (arm in ("prompts", "joint"))
    assert (policy.weight_version > 0) == (metrics.get("live_rows", 0) > 0)
    assert (trainer.refine is not None) == (arm in ("critique-grpo", "shuffled", "joint"))


@pytest.mark.filterwarnings("ignore:.*groups are dead:textgrad_rl.TrainingWarning")
@pytest.mark.parametrize("critic", program.OFFLINE_CRITICS)
def test_every_critic_trains_by_its_name(critic: str, task: tgr.Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judges, "reward_model", partial(judges.reward_model, steps=1))
    trainer = program.build("critique-grpo", **SMALL, critic=critic)
    metrics = trainer.fit(task, steps=1).history[-1].metrics
    assert metrics["unscored"] == 0
    assert (trainer.refine is None) == (critic == "verifier")
    assert (metrics["critiques"] > 0) == (critic != "verifier")


@pytest.mark.filterwarnings("ignore:.*groups are dead:textgrad_rl.TrainingWarning")
def test_an_earlier_run_is_a_critic(task: tgr.Task, tmp_path: Path) -> None:
    first = program.build("grpo", **SMALL, critic="verifier", run_dir=tmp_path)
    reward = first.fit(task, steps=1).history[-1].metrics["reward"]
    again = program.build("grpo", **SMALL, critic=f"replay:{tmp_path}")
    assert again.fit(task, steps=1).history[-1].metrics["reward"] == reward


def test_a_preset_is_an_arm_with_its_own_settings() -> None:
    trainer = program.build("critique-grpo/paper", critic="indicative")
    assert (trainer.samples, trainer.text, trainer.refine) == (7, {}, tgr.preset("critique-grpo/paper")["refine"])
    assert trainer.weights["solve.model"].optimizer.learning_rate == program.LEARNING_RATE


def test_only_what_learns_from_critiques_asks_for_them() -> None:
    scores_alone = {name for name in tgr.preset_names() if not program.reads_critiques(name)}
    reinforcement = {"grpo", "dr-grpo", "dapo", "gspo", "cispo", "sapo", "rloo", "luffy"}
    assert scores_alone == reinforcement | {"sft", "raft"}


def test_unknown_arms_and_critics_are_named_with_those_there_are() -> None:
    with pytest.raises(tgr.UnknownNameError, match=r"critique-grpo.*joint"):
        program.build("jiont")
    with pytest.raises(tgr.UnknownNameError, match=r"chain-of-thought.*semantic"):
        program.build(critic="chain-of-though")
