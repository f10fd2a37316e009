"""TRL 1.16.0 as a second implementation: on the same completions, every parameter gets the same gradient."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from textgrad_rl.methods.cispo import BoundedWeight
from textgrad_rl.methods.clip import Clip
from textgrad_rl.methods.estimators import group_advantages
from textgrad_rl.methods.gspo import SequenceClip
from textgrad_rl.methods.kl import KL
from textgrad_rl.methods.losses import PolicyLoss
from textgrad_rl.methods.sapo import SoftGate
from textgrad_rl.policies import Row, Segment, TransformersPolicy

trl = pytest.importorskip("trl")

LENGTH = 12  # tokens of the longest completion
WIDE = {"epsilon": 0.2, "epsilon_high": 0.28}

# TRL's settings and ours, per method.
METHODS: dict[str, tuple[dict[str, Any], PolicyLoss]] = {
    "grpo": ({"loss_type": "grpo"}, PolicyLoss()),
    "dr_grpo": (
        {"loss_type": "dr_grpo", "max_completion_length": LENGTH},
        PolicyLoss(aggregation="constant_length", length=LENGTH),
    ),
    "dapo": ({"loss_type": "dapo", **WIDE}, PolicyLoss(term=Clip(high=0.28), aggregation="token_mean")),
    "bnpo": ({"loss_type": "bnpo"}, PolicyLoss(aggregation="token_mean")),
    "dual_clip": ({"loss_type": "grpo", "delta": 1.3}, PolicyLoss(term=Clip(dual=1.3))),
    "sapo": ({"loss_type": "sapo"}, PolicyLoss(term=SoftGate())),
    "gspo": (
        {"loss_type": "grpo", "importance_sampling_level": "sequence", "epsilon": 0.1, "epsilon_high": 0.1},
        PolicyLoss(term=SequenceClip(low=0.1, high=0.1)),
    ),
    "cispo": (
        {"loss_type": "cispo", "epsilon_high": 5.0},
        PolicyLoss(term=BoundedWeight(most=5.0), aggregation="token_mean"),
    ),
    "kl": ({"loss_type": "grpo", "beta": 0.04, "use_bias_correction_kl": False}, PolicyLoss(kl=KL(coefficient=0.04))),
}


def injected() -> tuple[list[Row], list[list[float]]]:
    """Two groups of four completions of many lengths, each with an EOS, and log-probabilities of older weights."""
    draw = torch.Generator().manual_seed(7)
    rows, old = [], []
    for group, rewards in enumerate([(1.0, 0.0, 0.0, 1.0), (0.0, 0.25, 1.0, 0.0)]):
        prompt = tuple(torch.randint(0, 250, (4 + 3 * group,), generator=draw).tolist())
        for place, advantage in enumerate(group_advantages(rewards, "std")):
            length = (LENGTH, 1, 5, 8)[place] - group * (place != 1)
            ids = (*torch.randint(0, 250, (length - 1,), generator=draw).tolist(), 258)
            context = Segment(prompt)
            rows.append(
                Row(context=context, output_ids=ids, logprobs=(), advantage=advantage, reward=0.0, group=str(group))
            )
            old.append((torch.randn(length, generator=draw) * 0.3).tolist())
    return rows, old


def of_trl(
    policy: TransformersPolicy,
    rows: Sequence[Row],
    old: list[list[float]],
    folder: Path,
    *,
    beta: float = 0.0,
    **settings: Any,
) -> Any:
    """Gradients of TRL's loss by the parameter's name; prompts padded on the left, completions on the right."""
    from datasets import Dataset

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TRL's own
        config = trl.GRPOConfig(
            output_dir=str(folder), use_cpu=True, bf16=False, report_to=[], per_device_train_batch_size=8,
            num_generations=4, disable_dropout=True, **settings,
        )  # fmt: skip
        trainer = trl.GRPOTrainer(
            model=policy.model, processing_class=policy.tokenizer, args=config,
            reward_funcs=lambda completions, **_: [0.0] * len(completions),
            train_dataset=Dataset.from_list([{"prompt": "a"}] * 8),
        )  # fmt: skip
    trainer.current_gradient_accumulation_steps = 1
    trainer.beta = beta  # set late: with it, TRL would load a reference model by name

    def padded(parts: Sequence[Sequence[float]], *, left: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
        most = max(map(len, parts))
        values = [[0] * (most - len(p)) + [*p] if left else [*p] + [0] * (most - len(p)) for p in parts]
        marks = [[0] * (most - len(p)) + [1] * len(p) if left else [1] * len(p) + [0] * (most - len(p)) for p in parts]
        return torch.tensor(values), torch.tensor(marks)

    prompts, prompt_mask = padded([row.context.tokens() for row in rows], left=True)
    completions, mask = padded([row.output_ids for row in rows])
    inputs = {
        "prompt_ids": prompts, "prompt_mask": prompt_mask, "completion_ids": completions, "completion_mask": mask,
        "advantages": torch.tensor([row.advantage for row in rows], dtype=torch.float64),
        "old_per_token_logps": padded(old)[0].double(), "num_items_in_batch": mask.sum(),
    }  # fmt: skip
    if beta:
        inputs["ref_per_token_logps"] = padded([row.reference_logprobs for row in rows])[0].double()
    policy.model.zero_grad()
    policy.model.train()
    trainer.compute_loss(policy.model, inputs).backward()
    policy.model.eval()
    return gradients(policy)


def gradients(policy: TransformersPolicy) -> dict[str, torch.Tensor]:
    found = {name: p.grad.clone() for name, p in policy.model.named_parameters()}
    policy.model.zero_grad()
    return found


def worst(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> float:
    """The largest relative difference of a parameter's gradient vector."""
    return max(float((found[name] - value).norm() / value.norm()) for name, value in expected.items())


def shifted(rows: list[Row]) -> list[Row]:
    """The mask starts one token late: the first one is read, not trained."""
    return [
        replace(row, context=Segment(row.output_ids[:1], row.context), output_ids=row.output_ids[1:]) for row in rows
    ]


# What a trainer can get wrong without its gradient's norm saying so.
MUTATIONS: dict[str, tuple[Callable[[list[Row]], list[Row]], slice]] = {
    "sign": (lambda rows: [replace(row, advantage=-row.advantage) for row in rows], slice(None)),
    "mask shifted by one": (shifted, slice(1, None)),
    "EOS dropped": (lambda rows: [replace(row, output_ids=row.output_ids[:-1]) for row in rows], slice(None, -1)),
}


@pytest.mark.parametrize("name", METHODS)
def test_gradients_are_those_of_trl_and_mutations_are_not(name: str, new_policy: Any, tmp_path: Path) -> None:
    settings, loss = METHODS[name]
    policy = new_policy()
    policy.model.double()
    rows, noise = injected()
    now = policy.log_probs(rows)
    old = [[lp + d for lp, d in zip(*pair, strict=True)] for pair in zip(now, noise, strict=True)]
    if loss.kl:
        rows = [replace(row, reference_logprobs=tuple(lp - 0.2 * d for lp, d in zip(lps, ds, strict=True)))
                for row, lps, ds in zip(rows, now, noise, strict=True)]  # fmt: skip
    expected = of_trl(policy, rows, old, tmp_path, **settings)
    policy.forward_backward(rows, loss, old_log_probs=old)
    assert worst(gradients(policy), expected) < 1e-5
    for mutate, part in MUTATIONS.values():
        mutated = [replace(row, reference_logprobs=row.reference_logprobs[part]) for row in mutate(rows)]
        policy.forward_backward(mutated, loss, old_log_probs=[lps[part] for lps in old])
        assert worst(gradients(policy), expected) > 1e-2
