import json
import math
from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import Any

import pytest
import torch

from textgrad_rl.policies import Optimizer
from textgrad_rl.policies.optimizer import configure, make
from textgrad_rl_graphs.errors import ConfigError


@pytest.mark.parametrize(
    "settings",
    [
        {"learning_rate": 0.0},
        {"betas": (0.9, 1.0)},
        {"weight_decay": -0.1},
        {"warmup_steps": -1},
        {"max_grad_norm": 0.0},
        {"max_grad_norm": math.nan},
        {"schedule": "step"},
        {"schedule": "linear"},
        {"schedule": "cosine", "warmup_steps": 5, "total_steps": 5},
        {"schedule": "cosine", "total_steps": 5, "floor": 1.5},
        {"total_steps": 5},
        {"factory": "torch.optim:Nothing"},
        {"factory": "no_such_module:SGD"},
        {"factory": "torch.optim"},
        {"factory": "math:pi"},
        {"factory": lambda parameters, lr: None},
        {"factory": "torch.optim:SGD", "weight_decay": 0.1},
        {"options": {"momentum": 0.9}},
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


@pytest.mark.parametrize(("schedule", "left"), [("linear", [1, 2 / 3, 1 / 3]), ("cosine", [1, 3 / 4, 1 / 4])])
def test_a_schedule_falls_from_the_full_rate_to_the_floor(schedule: Any, left: list[float]) -> None:
    config = Optimizer(learning_rate=2.0, warmup_steps=2, schedule=schedule, total_steps=5, floor=0.2)
    rates = [config.learning_rate_at(step) for step in range(8)]
    assert rates[:2] == [1.0, 2.0]
    assert rates[2:] == pytest.approx([2 * (0.2 + 0.8 * share) for share in (*left, 0, 0, 0)])


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_a_schedule_is_torch_s(schedule: Any) -> None:
    weight = torch.nn.Parameter(torch.ones(1))
    sgd = torch.optim.SGD([weight], lr=0.5)
    twin: Any = (
        torch.optim.lr_scheduler.LinearLR(sgd, 1.0, 0.1, total_iters=10)
        if schedule == "linear"
        else torch.optim.lr_scheduler.CosineAnnealingLR(sgd, 10, eta_min=0.05)
    )
    config = Optimizer(learning_rate=0.5, schedule=schedule, total_steps=10, floor=0.1)
    for step in range(10):
        assert config.learning_rate_at(step) == pytest.approx(twin.get_last_lr()[0], rel=1e-6)
        sgd.step()
        twin.step()


def two_groups(parameters: Iterable[torch.Tensor], lr: float, momentum: float = 0.0) -> torch.optim.Optimizer:
    first, *others = parameters
    return torch.optim.SGD([{"params": [first], "lr": 10 * lr}, {"params": others}], lr=lr, momentum=momentum)


def test_any_optimizer_is_named_and_its_settings_are_names_and_numbers() -> None:
    config = Optimizer(learning_rate=0.1, factory=torch.optim.SGD, options={"momentum": 0.9})
    assert config.factory == "torch.optim.sgd:SGD"
    assert Optimizer(**json.loads(json.dumps(asdict(replace(config, betas=(0.9, 0.95)))), object_hook=tuples)) == config
    made = make(config, [torch.nn.Parameter(torch.ones(2))])
    assert isinstance(made, torch.optim.SGD)
    assert made.param_groups[0]["momentum"] == 0.9
    hash(config)


def tuples(mapping: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in mapping.items()}


def test_a_function_of_a_file_may_make_groups_that_keep_their_share_of_the_learning_rate() -> None:
    config = Optimizer(learning_rate=0.1, warmup_steps=2, factory=two_groups, options={"momentum": 0.5})
    assert config.factory == f"{__name__}:two_groups"
    made = make(config, [torch.nn.Parameter(torch.ones(2)) for _ in range(3)])
    assert configure(made, config, 0) == 0.05
    assert [group["lr"] for group in made.param_groups] == pytest.approx([0.5, 0.05])
    assert [group["momentum"] for group in made.param_groups] == [0.5, 0.5]


def test_an_option_that_the_optimizer_does_not_take_is_named() -> None:
    config = Optimizer(factory="torch.optim:SGD", options={"momentun": 0.9})
    with pytest.raises(ConfigError, match="momentun"):
        make(config, [torch.nn.Parameter(torch.ones(2))])


def test_adamw_is_fused() -> None:
    made = make(Optimizer(betas=(0.5, 0.6), weight_decay=0.1), [torch.nn.Parameter(torch.ones(2))])
    assert isinstance(made, torch.optim.AdamW)
    assert {name: made.param_groups[0][name] for name in ("fused", "betas", "weight_decay")} == {
        "fused": True,
        "betas": (0.5, 0.6),
        "weight_decay": 0.1,
    }
