from dataclasses import replace
from typing import Any

import pytest
import torch

import textgrad_rl as tgr
from tests.support.scripted import ScriptedCritic
from textgrad_rl.methods.cispo import BoundedWeight
from textgrad_rl.methods.clip import Clip
from textgrad_rl.methods.kl import KL
from textgrad_rl.methods.likelihood import ContextWeighted, LogLikelihood
from textgrad_rl.methods.losses import PolicyLoss
from textgrad_rl.methods.mismatch import Mismatch
from textgrad_rl.methods.presets import preset, preset_names
from textgrad_rl.methods.sapo import SoftGate
from textgrad_rl.methods.shaping import Shaped
from textgrad_rl.policies import Optimizer, Row, Segment
from textgrad_rl_graphs.errors import ConfigError, UnknownNameError
from textgrad_rl_graphs.feedback import Case, Feedback


def test_the_paper():
    settings = preset("critique-grpo/paper")
    assert settings["samples"] == 7
    assert settings["refine"] == tgr.Refine(trigger="zero_correct", keep=1, select="correct_first", replace=False)
    method = settings["weights"]
    assert (method.scale, method.loss.aggregation) == ("none", "group_sum")
    assert (method.loss.term, method.loss.refinement) == (Clip(), Shaped(gamma=0.1, low=0.2, high=0.2))
    assert method.optimizer.learning_rate == 1e-6


def test_the_released_code():
    settings = preset("critique-grpo/released")
    assert settings["refine"] == tgr.Refine(trigger="all", keep=1, select="correct_or_first", replace=True)
    method = settings["weights"]
    assert (method.scale, method.loss.term, method.loss.refinement) == ("std", Clip(low=None, high=None), Shaped())
    assert (method.loss.aggregation, method.loss.length) == ("constant_length", 8192)


def test_the_family_of_grpo_differs_where_its_papers_do():
    method = {name: preset(name)["weights"] for name in preset_names()}
    assert method["grpo"] == tgr.GRPO() == tgr.Method()
    assert (method["dr-grpo"].scale, method["dr-grpo"].loss.aggregation) == ("none", "constant_length")
    assert method["dapo"].loss == PolicyLoss(term=Clip(low=0.2, high=0.28), aggregation="token_mean")
    assert preset("dapo")["refill"] > 0
    assert method["gspo"].loss.aggregation == "sequence_mean"
    assert (method["cispo"].loss.term, method["sapo"].loss.term) == (BoundedWeight(most=5.0), SoftGate())
    assert method["rloo"].scale == "leave_one_out"
    assert (method["luffy"].experts, method["luffy"].scale, method["luffy"].loss.refinement) == (True, "none", Shaped())
    assert (method["rltf-sd"].baseline, method["rltf-sd"].loss.refinement) == ("samples", LogLikelihood())
    assert method["sdpo"].loss.reference == "critique"
    supervised = {name: method[name].imitate for name in ("sft", "raft", "refinement-ft", "critique-ft", "citl-ft")}
    assert list(supervised.values()) == ["refinements", "samples", "refinements", "critiques", "both"]
    assert method["sft"].experts


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_holds_the_same_settings_and_takes_a_learning_rate(name):
    settings = preset(name)
    assert sorted(settings) == ["refill", "refine", "samples", "weights"]
    faster = preset(name, learning_rate=0.25)["weights"]
    assert faster.optimizer.learning_rate == 0.25
    assert replace(faster, optimizer=settings["weights"].optimizer) == settings["weights"]
    settings["samples"] = 99
    assert preset(name)["samples"] != 99


def test_an_unknown_name_is_met_with_the_nearest():
    with pytest.raises(UnknownNameError, match=r"Did you mean 'critique-grpo/paper'\? Known: .*critique-grpo/paper, "):
        preset("critique-grpo/papers")


def test_the_settings_of_a_method_reach_its_loss_and_its_optimizer():
    method = tgr.CritiqueGRPO(learning_rate=0.5, gamma=0.2, clip_low=0.1, clip_high=0.3, max_grad_norm=2.0)
    assert (method.loss.term, method.loss.refinement) == (Clip(low=0.1, high=0.3), Shaped(gamma=0.2))
    assert (method.optimizer.learning_rate, method.optimizer.max_grad_norm) == (0.5, 2.0)
    plain = tgr.GRPO(learning_rate=0.5, clip_high=None, aggregation="constant_length", length=4, max_grad_norm=3.0)
    assert (plain.loss.term, plain.loss.length) == (Clip(high=None), 4)
    assert plain.optimizer == Optimizer(learning_rate=0.5, max_grad_norm=3.0)


@pytest.mark.parametrize("wrong", [{"scale": "mean"}, {"baseline": "none"}, {"imitate": "all"}])
def test_unknown_names_are_rejected(wrong):
    with pytest.raises(ConfigError, match=f"{next(iter(wrong))} is one of"):
        tgr.Method(**wrong)


class One(tgr.Graph):
    def __init__(self, model: Any) -> None:
        self.solve = tgr.LLM(model, template="{question}", sampling=tgr.Sampling(max_tokens=6))

    async def forward(self, question: Any) -> Any:
        return await self.solve(question=question)


def judge(case: Case) -> Feedback:
    """Solutions are right, and about half of all other texts."""
    right = case.text == case.example.solution or sum(map(ord, case.text)) % 2 == 0
    return Feedback(score=float(right), correct=right, critique="" if right else "Try another one.")


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_trains_a_policy_by_one_call(name, new_policy):
    policy = new_policy()
    examples = [tgr.Example({"question": text}, answer="x", solution=f"It is {text}.") for text in "abcdef"]
    trainer = tgr.Trainer(
        One(policy), critic=ScriptedCritic(judge), examples_per_step=2, evaluate_every=None, deterministic=True,
        **preset(name, learning_rate=1e-3),
    )  # fmt: skip
    before = torch.cat([p.detach().flatten() for p in policy.model.parameters()]).clone()
    report = trainer.fit(tgr.Task("letters", train=examples), steps=1)
    metrics = report.history[-1].metrics
    assert metrics["live_rows"] > 0
    assert metrics["grad_norm"] > 0
    assert policy.weight_version == 1
    assert not before.equal(torch.cat([p.detach().flatten() for p in policy.model.parameters()]))


def rows_of(lengths: list[int]) -> list[Row]:
    """Rows of two groups with refinements, with all that a loss may read."""
    draw = torch.Generator().manual_seed(5)
    return [
        Row(
            context=Segment((7, 8, 9 + place % 2)),
            output_ids=tuple(torch.randint(0, 250, (length,), generator=draw).tolist()),
            logprobs=tuple((-4 - torch.rand(length, generator=draw)).tolist()),
            reference_logprobs=tuple((-4 - torch.rand(length, generator=draw)).tolist()),
            advantage=(1.0, -0.5, 0.25)[place % 3],
            reward=0.0,
            group=str(place % 2),
            kind="refinement" if place % 4 == 3 else "sample",
        )
        for place, length in enumerate(lengths)
    ]


def gradient_of(policy: Any) -> torch.Tensor:
    found = torch.cat([p.grad.flatten() for p in policy.model.parameters()])
    policy.model.zero_grad()
    return found


LOSSES = {repr(preset(name)["weights"].loss): preset(name)["weights"].loss for name in preset_names()}
EXTRAS = PolicyLoss(term=Clip(dual=3.0), refinement=ContextWeighted(), mismatch=Mismatch(), kl=KL(coefficient=0.1))


def test_every_split_into_micro_batches_gives_every_loss_the_same_gradient(new_policy):
    policy, rows = new_policy(), rows_of([3, 9, 1, 6, 14, 2, 5, 4])
    policy.model.double()
    old = [[lp + 0.1 * (place % 3 - 1) for lp in lps] for place, lps in enumerate(policy.log_probs(rows))]
    for loss in (*LOSSES.values(), EXTRAS):
        policy.forward_backward(rows, loss, old_log_probs=old)
        whole = gradient_of(policy)
        for max_tokens in (1, 20):
            policy.forward_backward(rows, loss, old_log_probs=old, max_tokens=max_tokens)
            assert (gradient_of(policy) - whole).norm() <= 1e-6 * whole.norm(), loss


@pytest.mark.filterwarnings("ignore:.*gradient is exactly zero:textgrad_rl.trainer.diagnosis.TrainingWarning")
def test_a_kl_term_holds_the_policy_to_its_first_weights(new_policy):
    policy = new_policy()
    trainer = tgr.Trainer(
        One(policy),
        critic=ScriptedCritic(lambda _: Feedback(score=1.0, correct=True)),  # scores teach nothing
        weights=tgr.Method(loss=PolicyLoss(kl=KL(coefficient=1.0, estimator="k2"))),
        samples=2,
        examples_per_step=1,
        evaluate_every=None,
    )
    task = tgr.Task("letters", train=[tgr.Example({"question": "a"}, answer="x")])
    assert trainer.fit(task, steps=1).history[-1].metrics["grad_norm"] == pytest.approx(0.0, abs=1e-5)
    with torch.no_grad():
        policy.model.get_output_embeddings().weight.mul_(1.5)
    assert trainer.fit(task, steps=1).history[-1].metrics["grad_norm"] > 1e-3


def test_imitating_right_responses_alone_is_no_reason_to_warn_but_having_none_is(new_policy):
    def step(right: bool) -> Any:
        critic = ScriptedCritic(lambda _: Feedback(score=float(right), correct=right))
        trainer = tgr.Trainer(
            One(new_policy()), critic=critic, examples_per_step=1, evaluate_every=None,
            **{**preset("raft"), "samples": 2},
        )  # fmt: skip
        return trainer.fit(tgr.Task("letters", train=[tgr.Example({"question": "a"})]), steps=1)

    assert step(right=True).history[-1].metrics["live_rows"] == 2
    with pytest.warns(tgr.TrainingWarning, match="groups are dead"):
        assert step(right=False).history[-1].metrics["live_rows"] == 0
