"""The tiny model of the policies' tests."""

from tests.textgrad_rl.policies.conftest import new_model, tokenizer

__all__ = ["new_model", "tokenizer"]
