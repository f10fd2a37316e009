from typing import Any

import pytest

from textgrad_rl.policies import Optimizer
from textgrad_rl_graphs.errors import ConfigError


@pytest.mark.parametrize(
    "settings",
    [
        {"learning_rate": 0.0},
        {"betas": (0.9, 1.0)},
        {"weight_decay": -0.1},
        {"warmup_steps": -1},
        {"max_grad_norm": 0.0},
    ],
)
def test_values_that_cannot_train_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Optimizer(**settings)


def test_the_warm_up_is_linear_and_ends_at_the_learning_rate() -> None:
    config = Optimizer(learning_rate=2.0, warmup_steps=8)
    rates = [config.learning_rate_at(step) for step in range(10)]
    assert rates == [0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.0, 2.0]
    assert Optimizer(learning_rate=2.0).learning_rate_at(0) == 2.0
