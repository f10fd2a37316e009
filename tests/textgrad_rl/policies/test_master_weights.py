from typing import Any

import torch

from textgrad_rl.policies import Optimizer
from textgrad_rl.policies.master_weights import MasterWeights
from textgrad_rl.policies.updater import Updater

STEP = 2.0**-8
"""Distance from 1 to the next bfloat16 below it."""


def moved(weight: torch.nn.Parameter, updater: Any, steps: int) -> float:
    """How far a weight went in so many steps of a tenth of a bfloat16 step each."""
    start = float(weight.detach())
    for _ in range(steps):
        weight.grad = torch.ones_like(weight)
        updater.step(Optimizer(learning_rate=STEP / 10, factory="torch.optim:SGD", max_grad_norm=1e9))
    return start - float(weight.detach())


class Plain:
    """SGD in the weight's own type."""

    def __init__(self, weight: torch.nn.Parameter) -> None:
        self.weight = weight

    def step(self, config: Optimizer) -> None:
        torch.optim.SGD([self.weight], lr=config.learning_rate).step()


def test_updates_below_a_step_of_bfloat16_add_up_with_masters_alone() -> None:
    plain, weight = (torch.nn.Parameter(torch.ones((), dtype=torch.bfloat16)) for _ in range(2))
    assert moved(plain, Plain(plain), 100) == 0
    assert moved(weight, Updater([weight]), 100) == 10 * STEP


def test_weights_in_float32_are_their_own_masters() -> None:
    wide = torch.nn.Parameter(torch.ones(3))
    narrow = torch.nn.Parameter(torch.ones(3, dtype=torch.bfloat16))
    masters = MasterWeights([wide, narrow])
    assert masters.parameters[0] is wide
    assert masters.parameters[1].dtype == torch.float32
    assert len(masters.copies) == 1


def test_gradients_go_up_and_weights_come_down() -> None:
    weight = torch.nn.Parameter(torch.ones(2, dtype=torch.bfloat16))
    masters = MasterWeights([weight])
    masters.take_gradients()
    assert masters.parameters[0].grad is None
    weight.grad = torch.full_like(weight, 0.5)
    masters.take_gradients()
    assert masters.parameters[0].grad is not None
    assert masters.parameters[0].grad.tolist() == [0.5, 0.5]
    with torch.no_grad():
        masters.parameters[0] += 0.005
    masters.give_weights()
    assert weight.tolist() == [1.0078125, 1.0078125]  # rounded
    assert masters.parameters[0].grad is None


def test_a_policy_in_bfloat16_learns_at_small_learning_rates(new_policy: Any) -> None:
    """At 1e-5 a weight of 0.2 (step 0.001) needs a hundred updates to move; the masters move at once."""
    from tests.textgrad_rl.policies.test_policy import sample_rows, weights
    from textgrad_rl.methods.losses import PolicyLoss

    policy = new_policy(dtype="bfloat16")
    rows = sample_rows(new_policy())
    before = weights(policy)
    for _ in range(20):
        policy.forward_backward(rows, PolicyLoss())
        policy.optimizer_step(Optimizer(learning_rate=1e-5))
    changed = float((weights(policy) != before).float().mean())
    assert policy.model.dtype == torch.bfloat16
    assert 0.01 < changed < 0.9
