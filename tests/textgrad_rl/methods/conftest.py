"""The tiny policy of the policies' tests."""

from tests.textgrad_rl.policies.conftest import new_policy, tokenizer

__all__ = ["new_policy", "tokenizer"]
