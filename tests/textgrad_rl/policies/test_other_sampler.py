"""VLLMPolicy with an engine that runs everywhere: a second model, whose weights are always a little off.

What vLLM itself does is in test_vllm.py.
"""

import asyncio
import inspect
from dataclasses import replace
from typing import Any

import pytest
import torch

import textgrad_rl as tgr
from tests.support.scripted import ScriptedCritic
from textgrad_rl.methods.losses import PolicyLoss
from textgrad_rl.methods.mismatch import Mismatch
from textgrad_rl.models import TransformersModel
from textgrad_rl.policies import Row, Segment, TransformersPolicy, vllm
from textgrad_rl.policies.protocol import Policy
from textgrad_rl.policies.vllm import VLLMPolicy
from textgrad_rl_graphs.feedback import Feedback
from textgrad_rl_graphs.types import Message, Request, Sampling


class OtherEngine:
    """Answers with other numerics than the trainer: every weight it gets is changed by some per cent."""

    def __init__(self, model: TransformersModel, noise: float) -> None:
        self._model = model
        self._noise = noise
        self.weight_version = 0
        self.open = True

    async def complete(self, request: Request) -> Any:
        return await self._model.complete(request)

    def push(self, weights: Any, version: int) -> None:
        draw = torch.Generator().manual_seed(0)
        for name, tensor in self._model.model.state_dict().items():
            tensor.copy_(weights[name] * (1 + self._noise * torch.randn(tensor.shape, generator=draw)))
        self.weight_version = self._model.weight_version = version

    def close(self) -> None:
        self.open = False


@pytest.fixture
def other(new_policy: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes a VLLMPolicy over such an engine."""

    def make(noise: float = 0.1, **changes: Any) -> VLLMPolicy:
        monkeypatch.setattr(vllm, "_sampler", lambda trained, *_: OtherEngine(trained.snapshot(), noise))
        return VLLMPolicy(new_policy(**changes))

    return make


def sampled(policy: Any, count: int = 8) -> list[Row]:
    """Rows as the trainer makes them, two groups of as many samples."""

    async def gather() -> Any:
        sampling = Sampling(max_tokens=12)
        return await asyncio.gather(
            *(
                policy.complete(Request(messages=(Message("user", text),), seed=seed, sampling=sampling))
                for text in "ab"
                for seed in range(count)
            )
        )

    return [
        Row(
            context=Segment(answer.prompt_ids), output_ids=answer.output_ids, logprobs=answer.logprobs,
            advantage=1.0 if place % 2 else -1.0, reward=0.0, group=str(place // count),
            kind="refinement" if place % count == 3 else "sample",
        )
        for place, answer in enumerate(asyncio.run(gather()))
    ]  # fmt: skip


def gradient(policy: Any) -> torch.Tensor:
    found = torch.cat([p.grad.flatten() for p in policy.model.parameters()])
    policy.model.zero_grad()
    return found


def test_both_policies_are_policies_and_do_the_same_things(other: Any) -> None:
    policy = other()
    assert isinstance(policy, Policy)
    has = {kind: {name for name in dir(kind) if not name.startswith("_")} for kind in (TransformersPolicy, VLLMPolicy)}
    assert has[TransformersPolicy] <= has[VLLMPolicy]
    assert has[VLLMPolicy] - has[TransformersPolicy] == {"model", "tokenizer", "close"}  # attributes there
    for name, method in inspect.getmembers(Policy, inspect.isfunction):
        if not name.startswith("_"):
            for kind in (TransformersPolicy, VLLMPolicy):
                taken = inspect.signature(getattr(kind, name)).parameters
                loose = any(item.kind is inspect.Parameter.VAR_KEYWORD for item in taken.values())
                assert set(inspect.signature(method).parameters) <= set(taken) or loose, (kind, name)


def test_what_another_engine_sampled_is_weighted_by_default(other: Any) -> None:
    policy = other()
    rows = sampled(policy)
    metrics = policy.forward_backward(rows, PolicyLoss())
    found = gradient(policy)
    assert {"truncated_share", "dropped_share"} <= metrics.keys()
    for mismatch, same in ((Mismatch(), True), (None, False)):
        policy.forward_backward(rows, PolicyLoss(mismatch=mismatch))
        assert torch.allclose(gradient(policy), found) is same


def test_the_policy_s_own_engine_is_not_weighted_unless_asked(new_policy: Any) -> None:
    policy = new_policy()
    rows = sampled(policy)
    assert "dropped_share" not in policy.forward_backward(rows, PolicyLoss())
    assert policy.forward_backward(rows, PolicyLoss(mismatch=Mismatch()))["dropped_share"] == 0


def test_refinements_are_spared_and_sequences_far_off_are_dropped(other: Any) -> None:
    policy = other(noise=0.6)
    rows = sampled(policy)
    metrics = policy.forward_backward(rows, PolicyLoss())
    assert 0 < metrics["dropped_share"] < 1
    lengths = {kind: sum(len(row.output_ids) for row in rows if row.kind == kind) for kind in ("sample", "refinement")}
    assert metrics["dropped_share"] <= lengths["sample"] / sum(lengths.values())
    refined = [row for row in rows if row.kind == "refinement"]
    assert policy.forward_backward(refined, PolicyLoss())["dropped_share"] == 0


@pytest.mark.parametrize("updates", [1, 2])
def test_a_step_of_the_trainer_logs_the_shares_and_publishes_once(other: Any, updates: int) -> None:
    policy = other()

    class One(tgr.Graph):
        def __init__(self) -> None:
            self.solve = tgr.LLM(policy, template="{question}", sampling=tgr.Sampling(max_tokens=8))

        async def forward(self, question: Any) -> Any:
            return await self.solve(question=question)

    trainer = tgr.Trainer(
        One(), critic=ScriptedCritic(lambda case: Feedback(score=float(ord(case.text[0]) % 3))), samples=4,
        examples_per_step=2,
        weights=replace(tgr.GRPO(learning_rate=1e-3), updates=updates), evaluate_every=None, deterministic=True,
    )  # fmt: skip
    examples = [tgr.Example({"question": question}, answer="1") for question in "ab"]
    metrics = trainer.fit(tgr.Task("letters", train=examples), steps=1).history[-1].metrics
    assert metrics["updates"] == updates
    assert 0 <= metrics["dropped_share"] < 1
    assert 0 <= metrics["truncated_share"] < 1
    assert metrics["grad_norm"] > 0
    assert policy.weight_version == 1


def test_answers_come_from_the_published_weights(other: Any) -> None:
    policy = other(noise=0.0)
    rows = sampled(policy)
    policy.forward_backward(rows, PolicyLoss())
    policy.optimizer_step(tgr.Optimizer(learning_rate=1e-2))
    assert [row.logprobs for row in sampled(policy)] == [row.logprobs for row in rows]
    policy.publish()
    now = sampled(policy)
    assert policy.weight_version == 1
    for row, lp in zip(now, policy.log_probs(now), strict=True):
        assert lp == pytest.approx(row.logprobs, abs=1e-5)
