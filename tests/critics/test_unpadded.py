"""Encoders without padding give the vectors of sentence-transformers, or are left alone."""

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    AutoModel,
    BertConfig,
    DistilBertConfig,
    ModernBertConfig,
    PreTrainedTokenizerFast,
    Qwen3Config,
    RobertaConfig,
)

from textgrad_rl_critics import unpadded
from textgrad_rl_critics.unpadded import is_independent, unpad

WORDS = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "One", "Several", "words", "in", "a", "row", "sentence", ",", "."]
SHAPE = {"vocab_size": len(WORDS), "hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 2}
BERT = BertConfig(**SHAPE, intermediate_size=64)
CONFIGS = {
    "bert": (BERT, True),
    "distilbert": (DistilBertConfig(vocab_size=len(WORDS), dim=32, n_heads=4, n_layers=2, hidden_dim=64), True),
    "roberta, positions from 2": (RobertaConfig(**SHAPE, intermediate_size=64, pad_token_id=1), False),
    "modernbert, windows": (ModernBertConfig(**SHAPE, intermediate_size=64, local_attention=16, pad_token_id=0), False),
    "modernbert, windows wider than what is tried": (
        ModernBertConfig(**SHAPE, intermediate_size=64, local_attention=1024, pad_token_id=0),
        False,
    ),
    "qwen3, causal": (Qwen3Config(**SHAPE, intermediate_size=64, num_key_value_heads=2, head_dim=8), False),
}
TEXTS = ["a row", "", "Several words in a row, one sentence . " * 9, "words", "One sentence.", "a , " * 600]


def encoder(config, folder):
    """Return a SentenceTransformer of random weights."""
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 1), ("[SEP]", 2)])
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]", model_max_length=300
    ).save_pretrained(folder)
    torch.manual_seed(0)
    AutoModel.from_config(config).save_pretrained(folder)
    transformer = Transformer(str(folder), model_kwargs={"local_files_only": True})
    return SentenceTransformer(modules=[transformer, Pooling(32)], device="cpu")


@pytest.mark.parametrize("name", CONFIGS)
def test_the_vectors_stay_and_what_cannot_be_is_left_alone(name, tmp_path):
    config, expected = CONFIGS[name]
    model = encoder(config, tmp_path)
    padded = model.encode(TEXTS, batch_size=len(TEXTS))
    assert unpad(model) is expected
    np.testing.assert_allclose(model.encode(TEXTS, batch_size=len(TEXTS)), padded, atol=1e-5)
    assert ("forward" in vars(model[0].auto_model)) is expected


def test_unpadding_twice_is_unpadding_once(tmp_path):
    model = encoder(BERT, tmp_path)
    padded = model.encode(TEXTS)
    assert unpad(model)
    assert unpad(model)
    np.testing.assert_allclose(model.encode(TEXTS), padded, atol=1e-5)


def test_what_another_wrapped_stays_as_it_was(tmp_path):
    model = encoder(BERT, tmp_path)
    padded, inner = model.encode(TEXTS), model[0].auto_model
    forward = inner.forward
    inner.forward = lambda *args, **inputs: forward(*args, **inputs)
    wrapper = inner.forward
    assert not unpad(model)
    assert inner.forward is wrapper
    np.testing.assert_allclose(model.encode(TEXTS), padded, atol=1e-5)


def test_nothing_is_computed_for_padding_and_batches_are_limited(tmp_path, monkeypatch):
    model = encoder(BERT, tmp_path)
    padded = model.encode(TEXTS)
    assert unpad(model)
    seen = []
    model[0].auto_model.embeddings.register_forward_hook(lambda _module, _args, output: seen.append(output.shape[:2]))
    monkeypatch.setattr(unpadded, "_TOKENS", 100)
    np.testing.assert_allclose(model.encode(TEXTS), padded, atol=1e-5)
    lengths = [len(model.tokenizer(text, truncation=True)["input_ids"]) for text in TEXTS]
    assert all(rows == 1 for rows, _ in seen)
    assert sum(tokens for _, tokens in seen) == sum(lengths) < max(lengths) * len(lengths)
    assert [tokens for _, tokens in seen] == [300, 97]  # the longest first, alone


def test_a_text_is_not_seen_by_its_neighbours(tmp_path):
    model = encoder(BERT, tmp_path)
    assert unpad(model)
    one, other = model.encode(["One sentence.", "a row"]), model.encode(["One sentence.", "words words words"])
    np.testing.assert_allclose(one[0], other[0], atol=1e-6)
    assert not np.allclose(one[1], other[1], atol=1e-2)


def test_whether_batch_mates_count_is_tried():
    class Stub:
        def __init__(self, noise):
            self.noise = noise

        def encode(self, texts, *, show_progress_bar):
            return np.ones((len(texts), 2)) + self.noise * len(texts)

    assert is_independent(Stub(0.0))
    assert not is_independent(Stub(1e-12))


def test_modules_that_are_no_transformer():
    assert unpad([torch.nn.Linear(2, 2)]) is False
