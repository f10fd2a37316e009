from typing import Any

import pytest

from textgrad_rl.policies.support import check_support
from textgrad_rl_graphs.errors import ConfigError

SIZES = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 64,
    "bos_token_id": None,
    "eos_token_id": 1,
    "pad_token_id": 0,
    "initializer_range": 0.2,
}


def build(name: str, **settings: Any) -> Any:
    import torch
    import transformers

    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**{**SIZES, **settings})
    return getattr(transformers, f"{name}ForCausalLM")(config).eval()


@pytest.mark.parametrize("name", ["Llama", "Qwen2", "Qwen3", "SmolLM3", "Olmo2"])
def test_common_architectures_are_supported(name: str) -> None:
    check_support(build(name))


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("Mistral", {"sliding_window": 16}, "sliding_attention"),
        ("Granite", {"logits_scaling": 4.0}, "the trainer's logits differ"),
        ("Gemma2", {"layer_types": ["full_attention"] * 2, "attn_logit_softcapping": 0.05}, "not supported"),
    ],
)
def test_what_would_be_computed_wrongly_is_refused(name: str, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_support(build(name, **settings))
