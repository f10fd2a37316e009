import asyncio
import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from textgrad_rl.methods.clip import Clip
from textgrad_rl.methods.losses import PolicyLoss
from textgrad_rl.methods.shaping import Shaped
from textgrad_rl.methods.tokens import tokens_of
from textgrad_rl.policies import Optimizer, Row, Segment, TransformersPolicy
from textgrad_rl.policies.protocol import Policy
from textgrad_rl_graphs.errors import ConfigError, ModelError
from textgrad_rl_graphs.types import Message, Request, Sampling

CRITIQUE_GRPO = PolicyLoss(refinement=Shaped(gamma=0.1), aggregation="group_sum")
LOSSES = [
    PolicyLoss(),
    CRITIQUE_GRPO,
    PolicyLoss(aggregation="constant_length", length=16, term=Clip(low=None)),
    PolicyLoss(entropy=0.1),
    replace(CRITIQUE_GRPO, entropy=0.5),
]


def requests(temperature: float = 1.0) -> list[Request]:
    sampling = Sampling(temperature=temperature, max_tokens=14)
    texts = ("a", "a longer question", "b?")
    return [Request(messages=(Message("user", t),), seed=s, sampling=sampling) for t in texts for s in range(4)]


def sample_rows(policy: TransformersPolicy, temperature: float = 1.0) -> list[Row]:
    """Rows as the trainer makes them: four samples a group, the last one taken for a refinement."""

    async def gather() -> Any:
        return await asyncio.gather(*(policy.complete(request) for request in requests(temperature)))

    return [
        Row(
            context=Segment(answer.prompt_ids),
            output_ids=answer.output_ids,
            logprobs=answer.logprobs,
            advantage=((0.75, -0.5, 0.0, 1.25)[place % 4] if place < 8 else -0.3 * (place - 9)),
            reward=1.0,
            group=str(place // 4),
            kind="refinement" if place % 4 == 3 else "sample",
            temperature=temperature,
            weight=1 / (1 + place % 2),
            source=f"trace{place}/call",
        )
        for place, answer in enumerate(asyncio.run(gather()))
    ]


def gradient(policy: TransformersPolicy) -> torch.Tensor:
    """All gradients as one vector; zeros where there are none."""
    parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in policy.model.parameters()]
    return torch.cat([part.flatten() for part in parts]).clone()


def weights(policy: Any) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in policy.model.parameters()]).clone()


def brute_force(policy: TransformersPolicy, rows: list[Row], loss: PolicyLoss) -> torch.Tensor:
    """The gradient of the loss, every row on its own, through all logits."""
    policy.model.zero_grad()
    total = torch.zeros((), dtype=policy.model.dtype)
    tokens = sum(row.weight * len(row.output_ids) for row in rows)
    for row, weight in zip(rows, loss.row_weights(rows), strict=True):
        context = row.context.tokens()
        logits = policy.model(input_ids=torch.tensor([context + row.output_ids])).logits[0, len(context) - 1 : -1]
        lp_TV = torch.log_softmax(logits, -1)
        lp_T = lp_TV[torch.arange(len(row.output_ids)), list(row.output_ids)]
        total = total + weight * loss.token_terms(tokens_of([row], lp_T)).sum()
        total = total + (loss.entropy or 0) * row.weight / tokens * (lp_TV.exp() * lp_TV).sum()
    total.backward()
    found = gradient(policy)
    policy.model.zero_grad()
    return found


def test_it_is_a_trainable_model(new_policy: Any) -> None:
    policy = new_policy()
    assert isinstance(policy, Policy)
    assert (policy.name, policy.dialect, policy.trainable, policy.weight_version) == ("tiny", "plain", True, 0)
    assert policy.deterministic


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_the_trainer_s_log_probabilities_are_the_sampler_s(new_policy: Any, temperature: float) -> None:
    policy = new_policy()
    rows = sample_rows(policy, temperature)
    for row, lp in zip(rows, policy.log_probs(rows, max_tokens=64), strict=True):
        assert lp == pytest.approx(row.logprobs, abs=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_gradient_is_that_of_the_loss(new_policy: Any, loss: PolicyLoss) -> None:
    policy = new_policy()
    rows = sample_rows(policy)
    policy.model.double()
    expected = brute_force(policy, rows, loss)
    policy.forward_backward(rows, loss)
    assert expected.norm() > 1e-3
    # As a vector: transformers' norms go through float32, also in a float64 model.
    assert (gradient(policy) - expected).norm() <= 1e-6 * expected.norm()


@pytest.mark.parametrize("loss", [CRITIQUE_GRPO, replace(CRITIQUE_GRPO, entropy=0.5)])
def test_every_split_into_micro_batches_gives_the_same_gradient(new_policy: Any, loss: PolicyLoss) -> None:
    policy = new_policy()
    rows = sample_rows(policy)
    found = []
    for max_tokens in (1, 50, 100, 10_000):
        metrics = policy.forward_backward(rows, loss, max_tokens=max_tokens)
        found.append((gradient(policy), metrics))
        policy.model.zero_grad()
    for vector, metrics in found[1:]:
        assert (vector - found[0][0]).norm() <= 1e-6 * found[0][0].norm()
        assert metrics == pytest.approx(found[0][1], rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("ranks", [2, 3, 40])
def test_the_gradients_of_all_ranks_add_up(new_policy: Any, ranks: int) -> None:
    policy, loss = new_policy(), PolicyLoss(entropy=0.01)
    rows = sample_rows(policy)
    whole = policy.forward_backward(rows, loss, max_tokens=50)
    expected = gradient(policy)
    policy.model.zero_grad()
    parts = [policy.forward_backward(rows, loss, max_tokens=50, rank=rank, ranks=ranks) for rank in range(ranks)]
    assert (gradient(policy) - expected).norm() <= 1e-6 * expected.norm()
    assert sum(part["tokens"] for part in parts) == whole["tokens"]
    assert sum(part["loss"] for part in parts) == pytest.approx(whole["loss"], rel=1e-5)
    assert parts[0]["tokens"] < whole["tokens"]
    with pytest.raises(ConfigError, match=f"rank {ranks} of {ranks}"):
        policy.forward_backward(rows, loss, rank=ranks, ranks=ranks)


def test_rows_without_tokens_or_too_long_for_the_model_are_skipped_and_counted(new_policy: Any) -> None:
    policy, loss = new_policy(), PolicyLoss(aggregation="constant_length", length=8)
    rows = [replace(row, weight=1.0) for row in sample_rows(policy)[:4]]
    policy.forward_backward(rows, loss)
    expected = gradient(policy) / 2  # of twice as many rows in the mean
    policy.model.zero_grad()
    empty = replace(rows[0], output_ids=(), logprobs=())
    fitting = replace(rows[2], context=Segment((5,) * (192 - len(rows[2].output_ids))))  # and without an advantage
    long = [replace(rows[0], context=Segment((5,) * size)) for size in (192, 1000)]
    batch = [*rows, empty, *long, fitting]
    metrics = policy.forward_backward(batch, loss)
    torch.testing.assert_close(gradient(policy), expected)
    assert (metrics["rows"], metrics["skipped_rows"], metrics["too_long_rows"]) == (8, 5, 2)
    lengths = [len(row.output_ids) for row in rows]
    assert [len(lps) for lps in policy.log_probs(batch)] == [*lengths, 0, 0, 0, lengths[2]]


def test_gradients_add_up_until_the_step(new_policy: Any) -> None:
    policy = new_policy()
    rows = sample_rows(policy)
    policy.forward_backward(rows, CRITIQUE_GRPO)
    once = gradient(policy)
    policy.forward_backward(rows, CRITIQUE_GRPO)
    torch.testing.assert_close(gradient(policy), 2 * once)


def test_rows_without_advantage_train_nothing_but_count(new_policy: Any) -> None:
    policy = new_policy()
    rows = sample_rows(policy)
    still = [replace(row, advantage=0.0) for row in rows]
    metrics = policy.forward_backward(still, PolicyLoss())
    assert metrics == {"loss": 0.0, "tokens": 0.0, "rows": 12.0, "skipped_rows": 12.0, "too_long_rows": 0.0}
    assert not gradient(policy).any()
    before = weights(policy)
    assert policy.optimizer_step(Optimizer(learning_rate=0.1))["grad_norm"] == 0
    assert weights(policy).equal(before)
    # Means are over all rows, also over those that are skipped.
    mixed = [rows[0], *still[1:]]
    expected = brute_force(policy, mixed, PolicyLoss())
    policy.forward_backward(mixed, PolicyLoss())
    torch.testing.assert_close(gradient(policy), expected, rtol=1e-4, atol=1e-7)


def test_a_bonus_raises_the_entropy_also_where_scores_teach_nothing(new_policy: Any) -> None:
    policy = new_policy()
    rows = [replace(row, advantage=0.0) for row in sample_rows(policy)]
    loss = PolicyLoss(entropy=1.0)
    first = policy.forward_backward(rows, loss)
    assert first["tokens"] == sum(len(row.output_ids) for row in rows)
    weighted = sum(row.weight * len(row.output_ids) for row in rows)
    mean = policy.forward_backward([replace(row, weight=1.0) for row in rows], loss)
    assert mean["loss"] == pytest.approx(-mean["entropy"])
    assert first["loss"] == pytest.approx(-first["entropy"], rel=0.2)  # rows weigh differently in the loss
    assert weighted < first["tokens"]
    policy.optimizer_step(Optimizer(learning_rate=1e-3))
    assert policy.forward_backward(rows, loss)["entropy"] > first["entropy"]


def test_metrics_tell_samples_from_refinements(new_policy: Any) -> None:
    policy = new_policy()
    rows = sample_rows(policy)
    metrics = policy.forward_backward(rows, PolicyLoss())
    used = [row for row in rows if row.advantage]
    assert metrics["rows"] == 12
    assert metrics["skipped_rows"] == 12 - len(used)
    assert metrics["tokens"] == sum(len(row.output_ids) for row in used)
    for kind in ("sample", "refinement"):
        lps = [lp for row in used if row.kind == kind for lp in row.logprobs]
        assert metrics[f"mean_log_prob_{kind}"] == pytest.approx(sum(lps) / len(lps), abs=1e-5)
        assert 0 < metrics[f"entropy_{kind}"] < math.log(259)
    counts = {kind: sum(len(row.output_ids) for row in used if row.kind == kind) for kind in ("sample", "refinement")}
    mean = sum(counts[kind] * metrics[f"entropy_{kind}"] for kind in counts) / sum(counts.values())
    assert metrics["entropy"] == pytest.approx(mean)
    assert metrics["entropy_sample"] != metrics["entropy_refinement"]


def test_old_log_probabilities_enter_the_ratio(new_policy: Any) -> None:
    policy = new_policy()
    rows = sample_rows(policy)
    now = policy.log_probs(rows)
    policy.forward_backward(rows, PolicyLoss(), old_log_probs=now)
    on_policy = gradient(policy)
    policy.model.zero_grad()
    policy.forward_backward(rows, PolicyLoss())
    torch.testing.assert_close(gradient(policy), on_policy, rtol=1e-4, atol=1e-7)
    policy.model.zero_grad()
    # Where the ratio is beyond both clips, the clipped side of each sign trains nothing.
    ups = [replace(row, advantage=1.0, kind="sample") for row in rows]
    policy.forward_backward(ups, PolicyLoss(), old_log_probs=[[lp - 1 for lp in row] for row in now])
    assert not gradient(policy).any()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_an_advantage_that_is_not_finite_is_named(new_policy: Any, bad: float) -> None:
    policy = new_policy()
    rows = sample_rows(policy)
    rows[5] = replace(rows[5], advantage=bad)
    with pytest.raises(ModelError, match="'trace5/call'"):
        policy.forward_backward(rows, PolicyLoss())
    assert not gradient(policy).any()


def test_a_loss_that_is_not_finite_is_named_and_leaves_no_gradient(new_policy: Any) -> None:
    policy = new_policy()
    rows = sample_rows(policy)
    old = policy.log_probs(rows)
    old[5] = [-1e9 for _ in old[5]]  # the ratio overflows
    rows = [replace(row, advantage=-1.0) for row in rows]
    with pytest.raises(ModelError, match="loss of row 'trace5/call' is not finite"):
        policy.forward_backward(rows, PolicyLoss(term=Clip(low=None, high=None)), old_log_probs=old, max_tokens=1)
    assert not gradient(policy).any()


def test_a_gradient_that_is_not_finite_moves_nothing(new_policy: Any) -> None:
    policy = new_policy()
    before = weights(policy)
    next(policy.model.parameters()).grad = torch.full_like(next(policy.model.parameters()), torch.inf)
    with pytest.raises(ModelError, match="not finite"):
        policy.optimizer_step()
    assert weights(policy).equal(before)
    assert not gradient(policy).any()


def test_a_step_makes_good_samples_likelier_and_bad_ones_less(new_policy: Any) -> None:
    policy = new_policy()
    rows = [replace(row, kind="sample") for row in sample_rows(policy)]
    before = policy.log_probs(rows)
    policy.forward_backward(rows, PolicyLoss())
    metrics = policy.optimizer_step(Optimizer(learning_rate=1e-3))
    assert metrics["grad_norm"] > 0
    assert metrics["learning_rate"] == 1e-3
    assert not gradient(policy).any()
    gain = sum(
        row.advantage * row.weight * (sum(new) - sum(old)) / len(old)
        for row, old, new in zip(rows, before, policy.log_probs(rows), strict=True)
    )
    assert gain > 0


def test_steps_follow_torch_s_adamw(new_policy: Any) -> None:
    config = Optimizer(learning_rate=1e-2, betas=(0.8, 0.9), weight_decay=0.1, max_grad_norm=0.5, warmup_steps=4)
    policy, twin = new_policy(), new_policy()
    adamw = torch.optim.AdamW(twin.model.parameters(), betas=(0.8, 0.9), weight_decay=0.1)
    rows = sample_rows(policy)
    for step in range(3):
        metrics = policy.forward_backward(rows, PolicyLoss())
        metrics |= policy.optimizer_step(config)
        twin.forward_backward(rows, PolicyLoss())
        norm = torch.nn.utils.clip_grad_norm_(twin.model.parameters(), 0.5)
        adamw.param_groups[0]["lr"] = 1e-2 * (step + 1) / 4
        adamw.step()
        adamw.zero_grad()
        assert metrics["grad_norm"] == pytest.approx(float(norm), rel=1e-5)
        assert metrics["learning_rate"] == pytest.approx(1e-2 * (step + 1) / 4)
    # A gradient near 0 moves a weight as far as any other, so its rounding errors are seen: 1e-4 of an update.
    torch.testing.assert_close(weights(policy), weights(twin), rtol=1e-5, atol=1e-6)


def train(policy: TransformersPolicy, rows: list[Row]) -> None:
    policy.forward_backward(rows, PolicyLoss())
    policy.optimizer_step(Optimizer(learning_rate=1e-3))
    policy.publish()


def test_publishing_counts_versions_and_answers_carry_them(new_policy: Any) -> None:
    policy = new_policy()
    rows = sample_rows(policy)
    first = asyncio.run(policy.complete(requests()[0]))
    train(policy, rows)
    second = asyncio.run(policy.complete(requests()[0]))
    assert (first.weight_version, second.weight_version, policy.weight_version) == (0, 1, 1)
    assert first.logprobs != second.logprobs


def test_a_snapshot_stays_as_it_was(new_policy: Any) -> None:
    policy = new_policy()
    rows = sample_rows(policy)
    train(policy, rows)
    frozen = policy.snapshot()
    before = asyncio.run(frozen.complete(requests()[0]))
    train(policy, rows)
    after = asyncio.run(frozen.complete(requests()[0]))
    assert (frozen.name, frozen.trainable) == ("tiny@1", False)
    assert before == after
    assert after.logprobs != asyncio.run(policy.complete(requests()[0])).logprobs


def test_a_fork_goes_its_own_way(new_policy: Any) -> None:
    policy = new_policy()
    rows = sample_rows(policy)
    other = policy.fork("critic")
    assert other.name == "critic"
    before = weights(policy)
    assert weights(other).equal(before)
    train(other, rows)
    assert weights(policy).equal(before)
    assert not weights(other).equal(before)
    assert (policy.weight_version, other.weight_version) == (0, 1)
