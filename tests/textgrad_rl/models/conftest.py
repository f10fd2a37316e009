"""The tiny model of the policies' tests."""

from tests.textgrad_rl.policies.conftest import new_model, new_policy, tokenizer

__all__ = ["new_model", "new_policy", "tokenizer"]
