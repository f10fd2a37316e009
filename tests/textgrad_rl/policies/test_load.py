import importlib.util
from pathlib import Path
from typing import Any

import pytest

from textgrad_rl.policies import load_policy
from textgrad_rl_graphs.errors import ConfigError, MissingPackageError, UnknownNameError


def test_a_folder_is_a_policy(tmp_path: Path, new_model: Any, tokenizer: Any) -> None:
    new_model().save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    policy = load_policy(str(tmp_path), device="cpu", dialect="json")
    assert (policy.name, policy.trainable, policy.dialect) == (str(tmp_path), True, "json")
    assert str(policy.model.dtype) == "torch.float32"
    assert all(parameter.requires_grad for parameter in policy.model.parameters())


@pytest.mark.parametrize("name", ["litellm:openai/gpt-5-mini", "http://host:8000/v1#m", "vllm:Org/Name"])
def test_weights_out_of_reach_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="load_model"):
        load_policy(name)


def test_another_engine_names_those_there_are() -> None:
    with pytest.raises(UnknownNameError, match="Known: transformers, vllm"):
        load_policy("pocket", engine="sglang")


def test_options_of_another_engine_are_refused() -> None:
    with pytest.raises(ConfigError, match="engine_options"):
        load_policy("pocket", engine_options={"enforce_eager": True})


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vLLM is installed")
def test_without_vllm_the_error_names_the_extra() -> None:
    with pytest.raises(MissingPackageError, match=r"textgrad-rl\[vllm\]"):
        load_policy("pocket", engine="vllm")


def test_another_type_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="auto, bfloat16, float32"):
        load_policy(str(tmp_path), dtype="float16")  # type: ignore[arg-type]
