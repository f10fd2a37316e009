import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.textgrad_rl.policies.test_policy import requests, sample_rows, train, weights
from textgrad_rl.methods.losses import PolicyLoss
from textgrad_rl.policies import Optimizer, load_policy
from textgrad_rl.policies.storage import forget_optimizer
from textgrad_rl_graphs.errors import ConfigError, RecordsError


def test_a_restored_policy_goes_on_as_if_nothing_had_happened(new_policy: Any, tmp_path: Path) -> None:
    policy, restored = new_policy(), new_policy(seed=1)
    rows = sample_rows(policy)
    train(policy, rows)
    train(policy, rows)
    policy.save(tmp_path / "a" / "policy")
    train(restored, rows)  # state that must go
    restored.load(tmp_path / "a" / "policy")
    assert restored.weight_version == 2
    assert weights(restored).equal(weights(policy))
    for one in (policy, restored):
        train(one, rows)
    assert weights(restored).equal(weights(policy))
    assert asyncio.run(restored.complete(requests()[0])) == asyncio.run(policy.complete(requests()[0]))


def test_a_policy_that_never_stepped_is_restored_too(new_policy: Any, tmp_path: Path) -> None:
    policy, restored = new_policy(), new_policy(seed=1)
    policy.save(tmp_path / "policy")
    restored.load(str(tmp_path / "policy"))
    rows = sample_rows(policy)
    for one in (policy, restored):
        train(one, rows)
    assert weights(restored).equal(weights(policy))


def test_the_folder_is_one_that_transformers_loads(new_policy: Any, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    policy = new_policy()
    policy.save(tmp_path / "policy")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "policy")
    ids = AutoTokenizer.from_pretrained(tmp_path / "policy")("some text", return_tensors="pt")["input_ids"]
    torch.testing.assert_close(model(input_ids=ids).logits, policy.model(input_ids=ids).logits)
    again = load_policy(str(tmp_path / "policy"), device="cpu", deterministic=True)
    request = requests()[0]
    assert asyncio.run(again.complete(request)).output_ids == asyncio.run(policy.complete(request)).output_ids


def test_saving_again_replaces_the_folder_and_leaves_nothing_else(new_policy: Any, tmp_path: Path) -> None:
    policy, restored = new_policy(), new_policy(seed=1)
    policy.save(tmp_path / "policy")
    train(policy, sample_rows(policy))
    policy.save(tmp_path / "policy")
    assert [path.name for path in tmp_path.iterdir()] == ["policy"]
    restored.load(tmp_path / "policy")
    assert restored.weight_version == 1
    assert weights(restored).equal(weights(policy))


def test_a_write_that_fails_keeps_what_was_there(
    new_policy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy, restored = new_policy(), new_policy(seed=1)
    policy.save(tmp_path / "policy")
    before = weights(policy)
    train(policy, sample_rows(policy))

    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", full)
        with pytest.raises(RecordsError, match="no space left"):
            policy.save(tmp_path / "policy")
    assert [path.name for path in tmp_path.iterdir()] == ["policy"]
    restored.load(tmp_path / "policy")
    assert weights(restored).equal(before)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    "config",
    [
        Optimizer(learning_rate=1e-3, warmup_steps=3),
        Optimizer(learning_rate=1e-3, schedule="cosine", total_steps=4, floor=0.1),
        Optimizer(learning_rate=1e-2, factory="torch.optim:SGD", options={"momentum": 0.9}),
    ],
)
def test_two_steps_a_restart_and_two_steps_are_four_steps(
    new_policy: Any, tmp_path: Path, config: Optimizer, dtype: str
) -> None:
    whole, first, second = (new_policy(dtype=dtype) for _ in range(3))
    rows = sample_rows(new_policy())

    def steps(policy: Any, count: int) -> list[dict[str, float]]:
        found = []
        for _ in range(count):
            policy.forward_backward(rows, PolicyLoss())
            found.append(policy.optimizer_step(config))
            policy.publish()
        return found

    metrics = steps(whole, 4)
    assert steps(first, 2) == metrics[:2]
    first.save(tmp_path / "policy")
    second.load(tmp_path / "policy")
    second.save(tmp_path / "again")  # before its first step, too, it holds the state
    second.load(tmp_path / "again")
    assert steps(second, 2) == metrics[2:]
    assert weights(second).equal(weights(whole))
    assert not weights(second).equal(weights(first))
    assert second.weight_version == 4


def test_another_optimizer_does_not_take_over(new_policy: Any, tmp_path: Path) -> None:
    policy, restored = new_policy(), new_policy()
    train(policy, sample_rows(policy))
    policy.save(tmp_path / "policy")
    restored.load(tmp_path / "policy")
    before = weights(restored)
    for one in (policy, restored):
        with pytest.raises(ConfigError, match=r"moved by torch.optim:AdamW"):
            one.optimizer_step(Optimizer(factory="torch.optim:SGD"))
    assert weights(restored).equal(before)


def test_a_state_with_masters_is_none_for_weights_without(new_policy: Any, tmp_path: Path) -> None:
    policy, other = new_policy(dtype="bfloat16"), new_policy()
    train(policy, sample_rows(other))
    policy.save(tmp_path / "policy")
    before = weights(other)
    with pytest.raises(RecordsError, match="float32 masters"):
        other.load(tmp_path / "policy")
    assert weights(other).equal(before)


def test_an_optimizer_is_forgotten_and_the_weights_are_not(new_policy: Any, tmp_path: Path) -> None:
    policy, fresh = new_policy(), new_policy(seed=1)
    rows = sample_rows(policy)
    train(policy, rows)
    policy.save(tmp_path / "policy")
    forget_optimizer(tmp_path / "policy")
    fresh.load(tmp_path / "policy")
    assert weights(fresh).equal(weights(policy))
    assert fresh.weight_version == 1
    assert torch.load(tmp_path / "policy" / "policy.pt", weights_only=True)["updater"] is None


@pytest.mark.parametrize("name", ["model.safetensors", "policy.pt", "config.json"])
@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_damaged_folder_changes_nothing(new_policy: Any, tmp_path: Path, name: str, damage: str) -> None:
    policy, other = new_policy(), new_policy(seed=1)
    rows = sample_rows(policy)
    train(policy, rows)
    policy.save(tmp_path / "policy")
    file = tmp_path / "policy" / name
    if damage == "cut":
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    else:
        file.unlink()
    twin = new_policy(seed=1)
    for one in (other, twin):
        train(one, rows)
    with pytest.raises(RecordsError, match="policy"):
        other.load(tmp_path / "policy")
    for one in (other, twin):  # the optimizer's state is as it was, too
        train(one, rows)
    assert weights(other).equal(weights(twin))
    assert other.weight_version == 2


@pytest.mark.parametrize(
    "changes", [{"hidden_size": 16}, {"num_attention_heads": 2}, {"tie_word_embeddings": False}, {"vocab_size": 300}]
)
def test_another_architecture_changes_nothing(new_policy: Any, tmp_path: Path, changes: dict[str, Any]) -> None:
    new_policy(**changes).save(tmp_path / "policy")
    policy = new_policy()
    before = weights(policy)
    with pytest.raises(RecordsError, match="another architecture"):
        policy.load(tmp_path / "policy")
    assert weights(policy).equal(before)


def test_a_folder_that_is_not_there_is_an_error(new_policy: Any, tmp_path: Path) -> None:
    with pytest.raises(RecordsError, match="cannot read a policy from"):
        new_policy().load(tmp_path / "none")


def test_weights_of_another_kind_of_model_are_refused(new_policy: Any, tmp_path: Path) -> None:
    policy = new_policy()
    policy.save(tmp_path / "policy")
    config = tmp_path / "policy" / "config.json"
    config.write_text(config.read_text().replace("qwen3", "llama").replace("Qwen3", "Llama"))
    with pytest.raises(RecordsError, match="llama"):
        policy.load(tmp_path / "policy")
    shutil.rmtree(tmp_path / "policy")
