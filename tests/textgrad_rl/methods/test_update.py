"""One or several optimizer steps from a batch, against the same steps written out by hand."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from textgrad_rl.methods.cispo import BoundedWeight
from textgrad_rl.methods.clip import Clip
from textgrad_rl.methods.gspo import SequenceClip
from textgrad_rl.methods.losses import PolicyLoss
from textgrad_rl.methods.method import Method
from textgrad_rl.methods.mini_batches import mini_batches
from textgrad_rl.methods.sapo import SoftGate
from textgrad_rl.methods.update import update
from textgrad_rl.policies import Optimizer, Row, Segment
from textgrad_rl_graphs.errors import ConfigError, ModelError

FAST = Optimizer(learning_rate=1e-2)


def batch(groups: int = 4) -> list[Row]:
    """Four rows per group; the advantages of the last group are zero."""
    draw = torch.Generator().manual_seed(5)
    return [
        Row(
            context=Segment((7, 8, group)),
            output_ids=tuple(torch.randint(0, 250, (2 + (3 * place + group) % 5,), generator=draw).tolist()),
            logprobs=(),
            advantage=0.0 if group == groups - 1 else (1.0, -0.5, -1.0, 0.5)[place],
            reward=0.0,
            group=str(group),
            source=f"{group}.{place}",
        )
        for group in range(groups)
        for place in range(4)
    ]


def weights(policy: Any) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in policy.model.parameters()]).clone()


def by_hand(policy: Any, parts: Sequence[Sequence[Row]], method: Method) -> list[dict[str, float]]:
    """Every mini-batch with its log-probabilities at batch start, also the first."""
    old = [policy.log_probs(part) for part in parts]
    return [
        policy.forward_backward(part, method.loss, old_log_probs=lo) | policy.optimizer_step(method.optimizer)
        for part, lo in zip(parts, old, strict=True)
    ]


def counted(policy: Any) -> list[int]:
    """How many rows every forward pass without a gradient computes."""
    calls: list[int] = []
    log_probs = policy.log_probs
    policy.log_probs = lambda rows, **options: (calls.append(len(rows)), log_probs(rows, **options))[1]
    return calls


@pytest.mark.parametrize("loss", [PolicyLoss(), PolicyLoss(aggregation="group_sum", entropy=0.1)])
def test_two_updates_are_two_steps_whose_second_knows_the_weights_at_batch_start(new_policy, loss):
    rows, method = batch(), Method(updates=2, loss=loss, optimizer=FAST)
    parts = mini_batches(rows, 2, seed=11)
    policy, twin = new_policy(), new_policy()
    first = weights(policy)
    metrics = update(policy, rows, method, seed=11)
    expected = by_hand(twin, parts, method)
    torch.testing.assert_close(weights(policy), weights(twin), rtol=1e-5, atol=1e-6)
    assert (weights(policy) - first).norm() > 1e-2
    assert policy.weight_version == 1
    assert (metrics["rows"], metrics["live_rows"], metrics["updates"]) == (16, 12, 2)
    for name in ("tokens", "skipped_rows"):
        assert metrics[name] == sum(item[name] for item in expected)
    for name in ("loss", "grad_norm", "learning_rate", "entropy", "clipped_share"):
        assert metrics[name] == pytest.approx(sum(item[name] for item in expected) / 2, rel=1e-4)
    assert expected[0]["clipped_share"] == 0 < expected[1]["clipped_share"]  # the ratio has moved


def test_without_the_log_probabilities_at_batch_start_the_second_step_is_another(new_policy):
    rows, method = batch(), Method(updates=2, optimizer=FAST)
    policy, twin = new_policy(), new_policy()
    update(policy, rows, method, seed=11)
    for part in mini_batches(rows, 2, seed=11):
        twin.forward_backward(part, method.loss)
        twin.optimizer_step(FAST)
    assert (weights(policy) - weights(twin)).norm() > 1e-3


def test_a_single_update_is_one_step_over_the_whole_batch_without_another_forward_pass(new_policy):
    rows, method = batch(), Method(optimizer=FAST)
    policy, twin = new_policy(), new_policy()
    calls = counted(policy)
    metrics = update(policy, rows, method, seed=11)
    expected = twin.forward_backward(rows, method.loss) | twin.optimizer_step(FAST)
    assert weights(policy).equal(weights(twin))
    assert metrics == {**expected, "live_rows": 12, "updates": 1}
    assert calls == []


def test_old_log_probabilities_are_computed_once_and_only_of_rows_that_are_trained_later(new_policy):
    policy, rows = new_policy(), batch()
    calls = counted(policy)
    update(policy, rows, Method(updates=4, optimizer=FAST), seed=11)
    assert calls == [4, 4]  # of three groups that live, the first needs none


def test_a_mini_batch_without_anything_to_learn_is_no_step(new_policy):
    policy, rows = new_policy(), batch()
    metrics = update(policy, rows, Method(updates=4, optimizer=FAST), seed=11)
    assert (metrics["updates"], metrics["rows"], metrics["live_rows"], metrics["skipped_rows"]) == (3, 16, 12, 4)
    dead = [replace(row, advantage=0.0) for row in rows]
    before = weights(policy)
    assert update(policy, dead, Method(updates=4, optimizer=FAST), seed=11) == {"rows": 16, "live_rows": 0}
    assert update(policy, [], Method(optimizer=FAST), seed=11) == {"rows": 0, "live_rows": 0}
    assert weights(policy).equal(before)
    assert policy.weight_version == 1


def test_with_an_entropy_bonus_alone_weights_move_but_no_row_teaches(new_policy):
    policy = new_policy()
    dead = [replace(row, advantage=0.0) for row in batch()]
    metrics = update(policy, dead, Method(loss=PolicyLoss(entropy=0.01), optimizer=FAST), seed=11)
    assert (metrics["live_rows"], metrics["updates"], metrics["skipped_rows"]) == (0, 1, 0)
    assert metrics["grad_norm"] > 0


def test_the_seed_alone_decides_the_order(new_policy):
    def moved(seed: int) -> torch.Tensor:
        policy = new_policy()
        update(policy, batch(), Method(updates=2, optimizer=FAST), seed=seed)
        return weights(policy)

    assert moved(1).equal(moved(1))
    assert not moved(1).equal(moved(2))


TERMS = {
    "grpo": Clip(),
    "gspo": SequenceClip(),
    "cispo": BoundedWeight(most=1.2),
    "sapo": SoftGate(),
}


def test_with_one_update_the_terms_of_the_ratio_are_one_method_and_with_two_they_differ(new_policy):
    def moved(term: Any, updates: int) -> torch.Tensor:
        policy = new_policy()
        update(policy, batch(), Method(updates=updates, loss=PolicyLoss(term=term), optimizer=FAST), seed=11)
        return weights(policy)

    once = [moved(term, 1) for term in TERMS.values()]
    twice = [moved(term, 2) for term in TERMS.values()]
    for place, one in enumerate(once):
        torch.testing.assert_close(one, once[0], rtol=1e-4, atol=1e-4)
        for other in twice[:place]:
            assert (twice[place] - other).norm() > 1e-2


def test_an_error_in_a_later_mini_batch_leaves_the_published_version(new_policy):
    policy, rows = new_policy(), batch()
    last = mini_batches(rows, 2, seed=11)[1][0].source
    bad = [replace(row, advantage=float("nan")) if row.source == last else row for row in rows]
    with pytest.raises(ModelError, match=f"row '{last}' is nan"):
        update(policy, bad, Method(updates=2, optimizer=FAST), seed=11)
    assert policy.weight_version == 0


def test_no_update_at_all_is_refused():
    with pytest.raises(ConfigError, match="updates must be at least 1"):
        Method(updates=0)
