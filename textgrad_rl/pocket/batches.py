"""Dialogues as batches of tokens: one to a row, rows of similar length together, the loss on the assistant alone."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from textgrad_rl.pocket.corpus import Corpus, Dialogue
from textgrad_rl.pocket.tokenizer import END

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

IGNORED = -100
"""Label of a token that is not learned."""

Batch = tuple[Tensor, Tensor]
"""Tokens and labels, both rows x length, padded on the right; the labels are not shifted."""


@dataclass(frozen=True)
class Encoded:
    """One dialogue: its tokens and the label of each, `IGNORED` outside the assistant's turn."""

    tokens: tuple[int, ...]
    labels: tuple[int, ...]


def encode(dialogue: Dialogue, tokenizer: "PreTrainedTokenizerFast") -> Encoded:
    """Encode a dialogue exactly as sampling will see it: the rendered prompt, then completion and end of turn."""
    text = tokenizer.apply_chat_template(dialogue.messages[:-1], add_generation_prompt=True, tokenize=False)
    prompt = tokenizer.backend_tokenizer.encode(str(text), add_special_tokens=False).ids
    answer = tokenizer.backend_tokenizer.encode(dialogue.assistant + END, add_special_tokens=False).ids
    return Encoded((*prompt, *answer), (*[IGNORED] * len(prompt), *answer))


def stack(examples: Sequence[Encoded], pad: int) -> Batch:
    """Rows of one batch, padded on the right to the longest."""
    length = max(len(example.tokens) for example in examples)
    tokens = [[*example.tokens, *[pad] * (length - len(example.tokens))] for example in examples]
    labels = [[*example.labels, *[IGNORED] * (length - len(example.labels))] for example in examples]
    return torch.tensor(tokens), torch.tensor(labels)


def batches(
    corpus: Corpus, tokenizer: "PreTrainedTokenizerFast", *, rows: int, seed: int, longest: int = 640, buckets: int = 16
) -> Iterator[Batch]:
    """Endless batches of `rows` dialogues of similar length.

    `buckets` batches are drawn at once, sorted by length and given out in random pairs, a long one after a short one,
    so that pairs are about equally large. Equal `seed`s give equal orders: processes in step wait less for each other.
    Dialogues over `longest` tokens are left out.
    """
    pad, order = tokenizer.pad_token_id, random.Random(seed)
    if not isinstance(pad, int):
        raise ValueError("the tokenizer has no padding token")
    while True:
        drawn: list[Encoded] = []
        while len(drawn) < rows * buckets:
            encoded = encode(corpus.draw(), tokenizer)
            if len(encoded.tokens) <= longest:
                drawn.append(encoded)
        drawn.sort(key=lambda example: len(example.tokens))
        for short in order.sample(range(buckets // 2), buckets // 2):
            for place in (short, buckets - 1 - short):
                yield stack(drawn[place * rows : (place + 1) * rows], pad)
