import pytest

from textgrad_rl.models.prices import Price, read_price
from textgrad_rl_graphs.errors import ConfigError


def test_a_call_costs_what_was_read_and_what_was_generated() -> None:
    assert Price(3.0, 15.0).usd(1000, 200) == pytest.approx(0.003 + 0.003)
    assert Price(3.0, 15.0).usd(1000, 200, cached_tokens=400) == pytest.approx(0.006)
    assert Price(3.0, 15.0, 0.0).usd(1000, 200, cached_tokens=400) == pytest.approx(0.0018 + 0.003)


def test_a_price_is_two_or_three_numbers() -> None:
    assert read_price(None) is None
    assert read_price((1.0, 2.0)) == (1.0, 2.0, None)
    for wrong in [(1.0,), (1.0, -2.0), (1.0, 2.0, 3.0, 4.0)]:
        with pytest.raises(ConfigError, match="price is"):
            read_price(wrong)
