"""The tiny model and its policy."""

from tests.support.tiny import new_model, new_policy, tokenizer

__all__ = ["new_model", "new_policy", "tokenizer"]
