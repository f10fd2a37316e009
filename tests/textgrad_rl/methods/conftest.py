"""The tiny policy."""

from tests.support.tiny import new_policy, tokenizer

__all__ = ["new_policy", "tokenizer"]
