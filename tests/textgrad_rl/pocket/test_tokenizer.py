"""The shipped tokenizer: any text comes back, digits stand alone, the template is ChatML."""

from functools import lru_cache
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from textgrad_rl.pocket import folder
from textgrad_rl.pocket.batches import IGNORED, encode, stack
from textgrad_rl.pocket.corpus import Dialogue


@lru_cache
def tokenizer() -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder())


@settings(deadline=None)  # the first example pays for the import of transformers
@given(st.text())
def test_any_text_comes_back(text: str) -> None:
    ids = tokenizer().encode(text, add_special_tokens=False)
    assert tokenizer().decode(ids) == text


def test_pieces() -> None:
    ids = tokenizer().encode("Step 1: 24 - 91, flip 91-24, so -67. ", add_special_tokens=False)
    pieces = [tokenizer().decode([i]) for i in ids]
    assert pieces[:8] == ["Step ", "1", ": ", "2", "4", " - ", "9", "1"]
    assert pieces[-5:] == ["so ", "-", "6", "7", ". "]


def test_chat_template() -> None:
    messages = [{"role": "system", "content": "S"}, {"role": "user", "content": "U"}]
    text = tokenizer().apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    assert text == "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n"
    assert tokenizer().pad_token_id != tokenizer().eos_token_id
    assert tokenizer().eos_token == "<|im_end|>"


def test_examples_are_encoded_as_they_are_sampled() -> None:
    encoded = encode(Dialogue("S", "U", "Answer: 5"), tokenizer())
    messages = [{"role": "system", "content": "S"}, {"role": "user", "content": "U"}]
    prompt = tokenizer().apply_chat_template(messages, add_generation_prompt=True, return_dict=True)["input_ids"]
    assert list(encoded.tokens[: len(prompt)]) == list(prompt)
    assert tokenizer().decode(encoded.tokens[len(prompt) :]) == "Answer: 5<|im_end|>"
    assert all(label == IGNORED for label in encoded.labels[: len(prompt)])
    assert encoded.labels[len(prompt) :] == encoded.tokens[len(prompt) :]


def test_rows_are_padded_on_the_right() -> None:
    short, long = encode(Dialogue("", "U", "a"), tokenizer()), encode(Dialogue("", "U", "a b c d"), tokenizer())
    tokens, labels = stack([short, long], tokenizer().pad_token_id)
    assert tokens.shape == labels.shape == (2, len(long.tokens))
    assert (tokens[0, len(short.tokens) :] == tokenizer().pad_token_id).all()
    assert (labels[0, len(short.tokens) :] == IGNORED).all()
