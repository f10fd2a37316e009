"""What a user can get wrong, through the whole loop: a clear error or a counted skip, and whole weights afterwards."""

import copy
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import textgrad_rl as tgr
from tests.support.scripted import ScriptedCritic
from tests.support.tiny import new_policy, tokenizer
from textgrad_rl.trainer.diagnosis import TrainingWarning
from textgrad_rl_graphs.errors import ConfigError, RecordsError
from textgrad_rl_graphs.feedback import Case, Feedback

__all__ = ["new_policy", "tokenizer"]  # fixtures

UNSCORED = Feedback(score=None, fault="critic")


class One(tgr.Graph):
    def __init__(self, model: Any) -> None:
        self.solve = tgr.LLM(model, template="{question}", sampling=tgr.Sampling(max_tokens=6))

    async def forward(self, question: Any) -> Any:
        return await self.solve(question=question)


def scored(case: Case) -> Feedback:
    """Every second sample is right; runs that failed are not judged."""
    right = case.trace.sample % 2 == 0
    return UNSCORED if case.target is None else Feedback(score=float(right), correct=right)


def fit(policy: Any, judge: Any = scored, questions: tuple[str, ...] = ("a", "b"), **settings: Any) -> dict[str, float]:
    """Train on questions, one step by default; return the last step's numbers."""
    steps, solution = settings.pop("steps", 1), settings.pop("solution", None)
    defaults = {"weights": tgr.GRPO(learning_rate=1e-2), "samples": 4, "examples_per_step": 2, "evaluate_every": None}
    trainer = tgr.Trainer(One(policy), critic=ScriptedCritic(judge), **{**defaults, **settings})
    train = [tgr.Example({"question": text}, answer="x", solution=solution) for text in questions]
    return dict(trainer.fit(tgr.Task("letters", train=train), steps=steps).history[-1].metrics)


def weights(policy: Any) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in policy.model.parameters()]).clone()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_reward_that_is_not_finite_is_no_reward_and_the_others_train(
    new_policy: Any, tmp_path: Path, bad: float
) -> None:
    policy = new_policy()

    def judge(case: Case) -> Feedback:
        return replace(scored(case), score=bad if case.trace.sample == 3 else float(case.trace.sample))

    with pytest.warns(TrainingWarning, match="the critic failed on 2 of 8 samples"):
        metrics = fit(policy, judge, run_dir=tmp_path)
    assert (metrics["unscored"], metrics["rows"]) == (2, 6)
    assert 0 < metrics["grad_norm"] < math.inf
    assert weights(policy).isfinite().all()
    assert f"the score is {bad}, not a finite number" in (tmp_path / "steps/000001/cases.jsonl").read_text("utf-8")


def test_a_critic_that_breaks_on_a_question_costs_that_group_alone(new_policy: Any, tmp_path: Path) -> None:
    def judge(case: Case) -> Feedback:
        return scored(case) if case.example.inputs["question"] == "a" else {}["verdict"]

    with pytest.warns(TrainingWarning, match="the critic failed on 4 of 8 samples"):
        metrics = fit(new_policy(), judge, run_dir=tmp_path, refine=tgr.Refine(), metric=ScriptedCritic(judge))
    assert (metrics["unscored"], metrics["rows"], metrics["live_rows"]) == (4, 4, 4)
    assert "it raised KeyError: 'verdict'" in (tmp_path / "steps/000001/cases.jsonl").read_text("utf-8")


def test_what_is_no_critic_is_refused_before_anything_runs(new_policy: Any) -> None:
    graph, settings = One(new_policy()), {"weights": tgr.GRPO(learning_rate=1e-2), "evaluate_every": None}
    for given, advice in (("semantic", "by_name"), (len, "Verifier"), (tgr.critics.Verifier, "instance")):
        with pytest.raises(ConfigError, match=rf"Trainer\(critic=\.\.\.\) needs a critic.*{advice}"):
            tgr.Trainer(graph, critic=given, **settings)
        with pytest.raises(ConfigError, match=rf"Trainer\(metric=\.\.\.\) needs a critic.*{advice}"):
            tgr.Trainer(graph, critic=tgr.critics.Verifier(), metric=given, **settings)


def test_a_group_without_any_score_is_counted_and_the_others_train(new_policy: Any) -> None:
    with pytest.warns(TrainingWarning, match="the critic failed on 4 of 8 samples"):
        metrics = fit(new_policy(), lambda case: UNSCORED if case.example.inputs["question"] == "a" else scored(case))
    assert (metrics["unscored"], metrics["rows"], metrics["live_rows"]) == (4, 4, 4)
    assert 0 < metrics["grad_norm"] < math.inf


def test_a_step_without_any_score_moves_nothing_and_says_so(new_policy: Any) -> None:
    policy = new_policy()
    before = weights(policy)
    with pytest.warns(TrainingWarning) as caught:
        metrics = fit(policy, lambda _: UNSCORED)
    assert "every sample is unscored" in str(caught[0].message)
    assert (metrics["rows"], metrics["live_rows"]) == (0, 0)
    assert weights(policy).equal(before)
    assert policy.weight_version == 0


@pytest.mark.filterwarnings("ignore:.*samples are unusable:textgrad_rl.trainer.diagnosis.TrainingWarning")
def test_an_answer_of_eos_alone_is_the_policy_s_fault_and_trained_as_such(new_policy: Any) -> None:
    policy = new_policy()
    with torch.no_grad():  # far more often than once in 259 tokens
        policy.model.get_input_embeddings().weight[policy.tokenizer.eos_token_id] *= 6
    critic = tgr.critics.Verifier(lambda output, _: 1.0)
    trainer = tgr.Trainer(
        One(policy), critic=critic, weights=tgr.GRPO(), samples=32, examples_per_step=1, evaluate_every=None
    )
    task = tgr.Task("letters", train=[tgr.Example({"question": "a"}, answer="x")])
    metrics = trainer.fit(task, steps=1).history[-1].metrics
    assert 0 < metrics["policy_faults"] < 32
    assert metrics["rows"] == 32
    assert metrics["grad_norm"] > 0


def test_a_question_longer_than_the_context_is_counted_and_the_others_train(new_policy: Any) -> None:
    with pytest.warns(TrainingWarning, match="the critic failed on 4 of 8 samples"):
        metrics = fit(new_policy(), questions=("a", "b" * 500))
    assert (metrics["unscored"], metrics["rows"]) == (4, 4)
    assert metrics["grad_norm"] > 0


def test_a_solution_longer_than_the_context_is_left_out_and_told(new_policy: Any) -> None:
    policy = new_policy()
    before = weights(policy)
    settings = tgr.preset("sft", learning_rate=1e-2)
    with pytest.warns(TrainingWarning, match="2 rows are longer than the model reads and were left out"):
        metrics = fit(policy, lambda _: Feedback(score=1.0, correct=True), solution="b" * 500, **settings)
    assert (metrics["tokens"], metrics["too_long_rows"]) == (0, 2)
    assert weights(policy).equal(before)
    metrics = fit(policy, lambda _: Feedback(score=1.0, correct=True), solution="b", **settings)
    assert metrics["tokens"] > 0


@pytest.mark.parametrize(("lost", "said"), [("chat_template", "no chat template"), ("eos_token", "no EOS")])
def test_a_model_whose_tokenizer_cannot_hold_a_conversation_is_no_policy(
    new_policy: Any, tmp_path: Path, lost: str, said: str
) -> None:
    policy = new_policy()
    policy.tokenizer = copy.deepcopy(policy.tokenizer)
    setattr(policy.tokenizer, lost, None)
    policy.save(tmp_path / "poor")
    with pytest.raises(ConfigError, match=said):
        tgr.load_policy(str(tmp_path / "poor"))


def test_a_lora_target_that_is_not_there_is_named_beside_those_that_are(new_policy: Any, tmp_path: Path) -> None:
    new_policy().save(tmp_path / "model")
    with pytest.raises(ConfigError, match=r"no linear layer is called 'q_porj'; there are .*q_proj"):
        tgr.load_policy(str(tmp_path / "model"), lora={"targets": ["q_porj"]})


@pytest.mark.parametrize("name", ["model.safetensors", "policy.pt"])
def test_a_run_whose_checkpoint_was_cut_short_does_not_go_on(new_policy: Any, tmp_path: Path, name: str) -> None:
    fit(new_policy(), run_dir=tmp_path)
    for file in tmp_path.rglob(name):
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    policy = new_policy(seed=1)
    before = weights(policy)
    with pytest.raises(RecordsError, match="cannot read a policy from"):
        fit(policy, run_dir=tmp_path, steps=2)
    assert weights(policy).equal(before)


def test_a_run_does_not_go_on_with_another_model(new_policy: Any, tmp_path: Path) -> None:
    fit(new_policy(), run_dir=tmp_path)
    with pytest.raises(RecordsError, match="another architecture: hidden_size is 32 there, 16 here"):
        fit(new_policy(hidden_size=16), run_dir=tmp_path, steps=2)
