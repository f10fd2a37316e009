import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.textgrad_rl.policies.test_policy import gradient, requests, sample_rows
from textgrad_rl.methods.losses import PolicyLoss
from textgrad_rl.policies import LoRA
from textgrad_rl.policies.activation_checkpoints import in_use


def kept(work: Callable[[], Any]) -> int:
    """Bytes of the activations that are kept for the backward pass, each tensor once."""
    seen: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        if not isinstance(tensor, torch.nn.Parameter):
            seen[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        work()
    return sum(seen.values())


@pytest.mark.parametrize("lora", [None, LoRA(rank=2)])
def test_gradients_are_the_same_and_fewer_activations_are_kept(new_policy: Any, lora: LoRA | None) -> None:
    settings = {"num_hidden_layers": 4, "lora": lora}
    plain, sparing = new_policy(**settings), new_policy(checkpoint_activations=True, **settings)
    rows = sample_rows(plain)
    with_all, with_few = (kept(lambda p=p: p.forward_backward(rows, PolicyLoss())) for p in (plain, sparing))
    assert gradient(plain).any()
    assert gradient(sparing).equal(gradient(plain))
    assert with_few < 0.7 * with_all


def test_answers_are_the_same_and_layers_are_back_in_evaluation_mode(new_policy: Any) -> None:
    plain, sparing = new_policy(), new_policy(checkpoint_activations=True)
    rows = sample_rows(plain)
    sparing.forward_backward(rows, PolicyLoss())
    assert not any(module.training for module in sparing.model.modules())
    request = requests()[0]
    assert asyncio.run(sparing.complete(request)) == asyncio.run(plain.complete(request))
    assert sparing.log_probs(rows) == plain.log_probs(rows)


def test_a_fork_is_as_sparing(new_policy: Any) -> None:
    policy = new_policy(checkpoint_activations=True)
    rows = sample_rows(policy)
    fork = policy.fork("critic")
    assert kept(lambda: fork.forward_backward(rows, PolicyLoss())) == kept(
        lambda: policy.forward_backward(rows, PolicyLoss())
    )


def test_layers_leave_training_mode_after_an_error(new_model: Any) -> None:
    model = new_model()

    def fail() -> None:
        with in_use(model):
            assert sum(module.training for module in model.modules()) == 2
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not any(module.training for module in model.modules())
