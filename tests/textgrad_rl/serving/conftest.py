"""The embedded model, loaded once; what it answers matters to no test here."""

import pytest

from textgrad_rl.policies import load_policy
from textgrad_rl.policies.policy import TransformersPolicy


@pytest.fixture(scope="session")
def pocket() -> TransformersPolicy:
    return load_policy("pocket")
