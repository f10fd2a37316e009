import math

import pytest
import torch

from textgrad_rl.policies import Optimizer
from textgrad_rl.policies.updater import Updater
from textgrad_rl_graphs.errors import ModelError, RecordsError


def pair(dtype: torch.dtype = torch.float32) -> list[torch.nn.Parameter]:
    return [torch.nn.Parameter(torch.ones(2, dtype=dtype)), torch.nn.Parameter(torch.ones(3, dtype=dtype))]


def test_the_norm_is_bounded_over_all_weights() -> None:
    weights = pair()
    for weight in weights:
        weight.grad = torch.ones_like(weight)
    metrics = Updater(weights).step(Optimizer(learning_rate=1.0, factory="torch.optim:SGD", max_grad_norm=0.1))
    assert metrics == {"grad_norm": pytest.approx(math.sqrt(5)), "learning_rate": 1.0}
    for weight in weights:
        torch.testing.assert_close(weight.detach(), torch.full_like(weight, 1 - 0.1 / math.sqrt(5)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_gradient_that_is_not_finite_moves_nothing_and_counts_no_step(dtype: torch.dtype) -> None:
    weights = pair(dtype)
    updater = Updater(weights)
    for bad in (math.inf, math.nan):
        weights[0].grad = torch.full_like(weights[0], bad)
        with pytest.raises(ModelError, match="not finite"):
            updater.step(Optimizer(learning_rate=1.0))
        weights[0].grad = None
    assert updater.steps == 0
    assert all(weight.eq(1).all() for weight in weights)
    weights[0].grad = torch.ones_like(weights[0])
    updater.step(Optimizer(learning_rate=0.25))
    assert weights[0].tolist() == pytest.approx([0.75, 0.75], rel=1e-2)
    assert weights[1].eq(1).all()


def test_before_the_first_step_there_is_nothing_to_keep() -> None:
    assert Updater(pair()).state() is None


def test_a_state_of_other_weights_is_refused() -> None:
    updater = Updater(pair())
    updater.step(Optimizer())
    state = updater.state()
    with pytest.raises(RecordsError, match="of 2 weights"):
        Updater(pair()[:1], state)
