import pytest

from textgrad_rl.trainer.budget import Budget
from textgrad_rl_graphs.errors import ConfigError
from textgrad_rl_graphs.types import Usage

USAGE = Usage(prompt_tokens=10**9, generated_tokens=2_500_000, calls=30, usd=1.25)


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({}, ""),
        ({"tokens": 2_500_001, "calls": 31, "usd": 1.26, "seconds": 61}, ""),
        ({"tokens": 2_500_000}, "the budget of 2,500,000 tokens is used up"),
        ({"tokens": 1}, "the budget of 1 tokens is used up"),
        ({"calls": 30}, "the budget of 30 calls is used up"),
        ({"usd": 0.5}, "the budget of 0.5 usd is used up"),
        ({"seconds": 60.0}, "the budget of 60.0 seconds is used up"),
    ],
)
def test_a_limit_that_is_reached_is_named(limits, said):
    assert Budget(**limits).spent(USAGE, 60.0) == said


@pytest.mark.parametrize("name", ["calls", "tokens", "usd", "seconds"])
@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_that_allows_nothing_is_rejected(name, limit):
    with pytest.raises(ConfigError, match=rf"Budget\({name}={limit}\) allows nothing"):
        Budget(**{name: limit})
