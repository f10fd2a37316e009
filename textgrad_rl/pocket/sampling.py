"""Batched sampling for measuring: left-padded `generate`, requests of similar length together."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Request = tuple[str, str]
"""System and user message; an empty system message is left out."""


def chat(system: str, user: str) -> list[dict[str, str]]:
    """The messages of one request."""
    return [{"role": role, "content": text} for role, text in (("system", system), ("user", user)) if text]


def sample(
    model: Any,
    tokenizer: "PreTrainedTokenizerBase",
    requests: Sequence[Request],
    *,
    temperature: float = 1.0,
    max_tokens: int = 256,
    batch: int = 128,
) -> list[str]:
    """One completion per request, in order.

    Args:
        model: a transformers causal language model.
        tokenizer: its tokenizer.
        requests: what to answer.
        temperature: 0 is greedy.
        max_tokens: most tokens of one completion.
        batch: requests per call of `generate`.
    """
    import torch

    order = sorted(range(len(requests)), key=lambda i: len(requests[i][0]) + len(requests[i][1]))
    answers = [""] * len(requests)
    choice: dict[str, Any] = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}
    for start in range(0, len(order), batch):
        part = order[start : start + batch]
        texts = [
            str(tokenizer.apply_chat_template(chat(*requests[i]), add_generation_prompt=True, tokenize=False))
            for i in part
        ]
        inputs = tokenizer(texts, padding=True, padding_side="left", add_special_tokens=False, return_tensors="pt")
        with torch.no_grad():
            outputs = model.generate(
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                max_new_tokens=max_tokens,
                **(choice if temperature else {"do_sample": False}),
            )
        completions = outputs[:, inputs["input_ids"].shape[1] :]
        for i, text in zip(part, tokenizer.batch_decode(completions, skip_special_tokens=True), strict=True):
            answers[i] = text
    return answers
