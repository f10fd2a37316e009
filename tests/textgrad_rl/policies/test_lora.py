import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.textgrad_rl.policies.test_policy import brute_force, gradient, requests, sample_rows, train, weights
from textgrad_rl.methods.losses import PolicyLoss
from textgrad_rl.policies import LoRA, Optimizer, load_policy
from textgrad_rl.policies.lora import add_lora, as_lora, merged_state
from textgrad_rl_graphs.errors import ConfigError, RecordsError

IDS = torch.tensor([[5, 6, 7, 8, 9]])
SMALL = LoRA(rank=4, alpha=8)


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=IDS).logits  # type: ignore[no-any-return]


def trained(model: Any) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize(
    "settings", [{"rank": 0}, {"alpha": 0.0}, {"targets": ()}, {"targets": ""}, {"ranks": 8}, {"lora_alpha": 8}]
)
def test_what_no_adapter_can_have_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        as_lora(settings)


def test_a_new_adapter_changes_no_answer_and_is_all_that_is_trained(new_policy: Any) -> None:
    plain, policy = new_policy(), new_policy(lora=SMALL)
    assert logits(policy.model).equal(logits(plain.model))
    assert {name.rpartition(".lora_")[2] for name in trained(policy.model)} == {"A.default.weight", "B.default.weight"}
    assert len(trained(policy.model)) == 2 * 7 * 2
    request = requests()[0]
    assert asyncio.run(policy.complete(request)) == asyncio.run(plain.complete(request))


def test_the_gradient_is_that_of_the_loss_and_the_log_probabilities_are_the_sampler_s(new_policy: Any) -> None:
    policy = new_policy(lora=SMALL)
    train(policy, sample_rows(policy))  # B is not zero any more
    rows = sample_rows(policy)
    for row, lp in zip(rows, policy.log_probs(rows, max_tokens=64), strict=True):
        assert lp == pytest.approx(row.logprobs, abs=1e-5)
    expected = brute_force(policy, rows, PolicyLoss())
    policy.forward_backward(rows, PolicyLoss())
    assert expected.norm() > 1e-3
    assert (gradient(policy) - expected).norm() <= 1e-4 * expected.norm()


def test_training_moves_the_adapter_alone(new_policy: Any) -> None:
    policy = new_policy(lora=SMALL)
    before = {name: p.detach().clone() for name, p in policy.model.named_parameters()}
    answer = asyncio.run(policy.complete(requests()[0]))
    train(policy, sample_rows(policy))
    train(policy, sample_rows(policy))
    moved = {name for name, p in policy.model.named_parameters() if not p.equal(before[name])}
    assert moved == trained(policy.model)
    assert asyncio.run(policy.complete(requests()[0])).logprobs != answer.logprobs


def test_the_same_seed_gives_the_same_adapter_and_draws_from_no_other_stream(new_policy: Any) -> None:
    first, again, other = (new_policy(lora=LoRA(rank=2, seed=seed)) for seed in (0, 0, 1))
    assert weights(first).equal(weights(again))
    assert not weights(first).equal(weights(other))
    torch.manual_seed(7)
    expected = torch.rand(1)
    model = new_policy().model
    torch.manual_seed(7)
    add_lora(model, SMALL)
    assert torch.rand(1).equal(expected)


def test_targets_name_layers_by_the_end_of_their_names(new_policy: Any) -> None:
    policy = new_policy(lora=LoRA(rank=2, targets=("q_proj", "layers.0.mlp.up_proj")))
    layers = {name.partition(".lora_")[0] for name in trained(policy.model)}
    assert layers == {
        "model.layers.0.self_attn.q_proj",
        "model.layers.1.self_attn.q_proj",
        "model.layers.0.mlp.up_proj",
    }


@pytest.mark.parametrize(
    ("targets", "said"),
    [(("q_proj", "q_porj"), "'q_porj'.*down_proj.*q_proj"), ("norm", "'norm'"), ("lm_head", "shares its weights")],
)
def test_a_target_that_cannot_be_adapted_is_an_error_and_nothing_has_changed(
    new_model: Any, targets: Any, said: str
) -> None:
    model = new_model()
    with pytest.raises(ConfigError, match=said):
        add_lora(model, LoRA(targets=targets))
    assert trained(model) == {name for name, _ in model.named_parameters()}


def test_a_head_with_weights_of_its_own_can_be_adapted(new_policy: Any) -> None:
    policy = new_policy(lora=LoRA(rank=2, targets="lm_head"), tie_word_embeddings=False)
    rows = sample_rows(policy)
    train(policy, rows)
    assert policy.log_probs(rows) != [list(row.logprobs) for row in rows]
    assert merged_state(policy.model)["lm_head.weight"].shape == (259, 32)


def test_an_adapter_on_an_adapter_is_refused(new_policy: Any) -> None:
    with pytest.raises(ConfigError, match="already"):
        add_lora(new_policy(lora=SMALL).model, SMALL)


def test_forks_share_the_frozen_weights_and_train_adapters_of_their_own(new_policy: Any) -> None:
    policy = new_policy(lora=SMALL)
    rows = sample_rows(policy)
    train(policy, rows)
    critic = policy.fork("critic")
    frozen = policy.snapshot()
    before, answer = weights(policy), asyncio.run(frozen.complete(requests()[0]))
    assert weights(critic).equal(before)
    for (name, mine), (_, theirs) in zip(policy.model.named_parameters(), critic.model.named_parameters(), strict=True):
        assert (mine.data_ptr() == theirs.data_ptr()) == (name not in trained(policy.model)), name
    train(critic, rows)
    assert weights(policy).equal(before)
    assert not weights(critic).equal(before)
    train(policy, rows)
    assert asyncio.run(frozen.complete(requests()[0])) == answer
    assert trained(policy.model) == trained(critic.model)
    assert trained(frozen.model) == set()


def test_the_folder_is_peft_s(new_policy: Any, new_model: Any, tmp_path: Path) -> None:
    from peft import PeftModel

    policy = new_policy(lora=SMALL)
    train(policy, sample_rows(policy))
    policy.save(tmp_path / "adapter")
    names = {path.name for path in (tmp_path / "adapter").iterdir()}
    assert {"adapter_model.safetensors", "adapter_config.json", "policy.pt", "tokenizer.json"} <= names
    assert not {"model.safetensors", "config.json"} & names
    loaded = PeftModel.from_pretrained(new_model(), str(tmp_path / "adapter"))
    torch.testing.assert_close(logits(loaded), logits(policy.model))


def test_merged_it_is_a_whole_model(new_policy: Any, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    policy = new_policy(lora=SMALL)
    train(policy, sample_rows(policy))
    before, plain = weights(policy), logits(new_policy().model)
    policy.save(tmp_path / "merged", merge=True)
    assert weights(policy).equal(before)
    loaded = logits(AutoModelForCausalLM.from_pretrained(tmp_path / "merged"))
    torch.testing.assert_close(loaded, logits(policy.model), rtol=1e-4, atol=1e-5)
    assert (loaded - plain).abs().max() > 1e-2
    whole = new_policy(seed=1)
    whole.load(tmp_path / "merged")
    torch.testing.assert_close(logits(whole.model), loaded)
    train(whole, sample_rows(whole))  # with an optimizer of its own


def test_a_restored_adapter_goes_on_as_if_nothing_had_happened(new_policy: Any, tmp_path: Path) -> None:
    policy, restored = new_policy(lora=SMALL), new_policy(lora=LoRA(rank=4, alpha=8, seed=1))
    rows = sample_rows(policy)
    train(policy, rows)
    policy.save(tmp_path / "policy")
    restored.load(tmp_path / "policy")
    for one in (policy, restored):
        train(one, rows)
    assert weights(restored).equal(weights(policy))
    assert restored.weight_version == 2


def test_a_policy_is_loaded_with_an_adapter_by_name(new_model: Any, tokenizer: Any, tmp_path: Path) -> None:
    new_model().save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    policy = load_policy(str(tmp_path / "base"), lora={"rank": 4, "alpha": 8}, device="cpu", deterministic=True)
    rows = sample_rows(policy)
    train(policy, rows)
    policy.save(tmp_path / "adapter")
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert (config["base_model_name_or_path"], config["r"], config["lora_alpha"]) == (str(tmp_path / "base"), 4, 8)
    # The adapter's folder knows its base, and what it held is trained on.
    again = load_policy(str(tmp_path / "adapter"), device="cpu", deterministic=True)
    assert trained(again.model) == trained(policy.model)
    again.load(tmp_path / "adapter")
    for one in (policy, again):
        train(one, rows)
    assert weights(again).equal(weights(policy))


@pytest.mark.parametrize("other", [LoRA(rank=2), LoRA(rank=4, alpha=16), LoRA(rank=4, alpha=8, targets="q_proj"), None])
def test_another_adapter_changes_nothing(new_policy: Any, tmp_path: Path, other: LoRA | None) -> None:
    policy, saved = new_policy(lora=SMALL), new_policy(lora=other, seed=1)
    saved.save(tmp_path / "policy")
    before = weights(policy)
    with pytest.raises(RecordsError, match=r"holds (another adapter|whole weights)"):
        policy.load(tmp_path / "policy")
    assert weights(policy).equal(before)


def test_an_adapter_is_not_loaded_as_whole_weights(new_policy: Any, tmp_path: Path) -> None:
    new_policy(lora=SMALL).save(tmp_path / "policy")
    with pytest.raises(RecordsError, match="holds an adapter, this policy trains whole weights"):
        new_policy().load(tmp_path / "policy")


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "adapter_config.json", "policy.pt"])
@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_damaged_adapter_changes_nothing(new_policy: Any, tmp_path: Path, name: str, damage: str) -> None:
    policy, other = new_policy(lora=SMALL), new_policy(lora=SMALL, seed=1)
    policy.save(tmp_path / "policy")
    file = tmp_path / "policy" / name
    if damage == "cut":
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    else:
        file.unlink()
    before = weights(other)
    with pytest.raises(RecordsError, match="policy"):
        other.load(tmp_path / "policy")
    assert weights(other).equal(before)


def test_in_bfloat16_the_adapter_is_held_in_float32(new_policy: Any, tmp_path: Path) -> None:
    policy = new_policy(lora=SMALL, dtype="bfloat16")
    assert {p.dtype for p in policy.model.parameters() if p.requires_grad} == {torch.float32}
    before = weights(policy)
    policy.forward_backward(sample_rows(policy), PolicyLoss())
    policy.optimizer_step(Optimizer(learning_rate=1e-6))
    assert not weights(policy).equal(before)
    policy.save(tmp_path / "merged", merge=True)
    state = merged_state(policy.model)
    assert {tensor.dtype for tensor in state.values()} == {torch.bfloat16}
