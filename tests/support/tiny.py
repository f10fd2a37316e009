"""A tiny random model with a byte-level tokenizer, made here: these tests need no weights from anywhere."""

from collections.abc import Callable
from typing import Any

import pytest

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def make_tokenizer() -> Any:
    """Every byte is a token; 259 entries."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: place for place, letter in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
    )


def make_model(seed: int = 0, **changes: Any) -> Any:
    """About 20 thousand random weights, large enough that its distributions are not flat."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    settings = {
        "vocab_size": 259,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "max_position_embeddings": 192,
        "tie_word_embeddings": True,
        "initializer_range": 0.2,
        "bos_token_id": None,
        "eos_token_id": 258,
        "pad_token_id": 256,
    }
    torch.manual_seed(seed)
    return Qwen3ForCausalLM(Qwen3Config(**{**settings, **changes})).eval()


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    return make_tokenizer()


@pytest.fixture
def new_model() -> Callable[..., Any]:
    """Makes a model; the same seed gives the same weights."""
    return make_model


@pytest.fixture
def new_policy(tokenizer: Any) -> Callable[..., Any]:
    """Makes a policy; settings other than the named ones change the model's shape."""
    import torch

    from textgrad_rl.models import TransformersModel
    from textgrad_rl.policies import LoRA, TransformersPolicy
    from textgrad_rl.policies.lora import add_lora

    def make(
        seed: int = 0,
        *,
        deterministic: bool = True,
        max_batch_rows: int = 256,
        dtype: str = "float32",
        lora: LoRA | None = None,
        checkpoint_activations: bool = False,
        **changes: Any,
    ) -> Any:
        model = make_model(seed, **changes).to(getattr(torch, dtype))
        sampler = TransformersModel(
            model, tokenizer, name="tiny", deterministic=deterministic, max_batch_rows=max_batch_rows
        )
        if lora is not None:
            add_lora(model, lora)
        return TransformersPolicy(sampler, checkpoint_activations=checkpoint_activations)

    return make
