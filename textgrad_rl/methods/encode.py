"""Tokens of texts that a policy did not sample: reference solutions, critiques, prompts that show a critique.

Whatever a policy sampled itself keeps its tokens as sampled; nothing here touches those.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from textgrad_rl.models.chat import prompt_ids
from textgrad_rl.policies.protocol import Policy
from textgrad_rl_graphs.errors import ConfigError
from textgrad_rl_graphs.types import Message, Request


def answer_ids(policy: Policy, text: str) -> tuple[int, ...]:
    """Return the tokens of an answer as the policy would have given it: the text, then EOS."""
    tokenizer = _tokenizer(policy)
    return (*tokenizer.encode(text, add_special_tokens=False), int(tokenizer.eos_token_id))


def question_ids(policy: Policy, messages: Sequence[Message]) -> tuple[int, ...]:
    """Return the tokens that the policy continues to answer messages."""
    return prompt_ids(_tokenizer(policy), Request(messages=tuple(messages)), frozenset())


def _tokenizer(policy: Policy) -> Any:
    tokenizer = getattr(policy, "tokenizer", None)
    if tokenizer is None:
        raise ConfigError(f"{policy.name} has no tokenizer here, so texts it did not write cannot be trained into it")
    return tokenizer
