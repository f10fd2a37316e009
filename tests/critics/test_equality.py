from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgrad_rl_critics.equality import number, same_answer


@pytest.mark.parametrize(
    ("one", "other"),
    [("18", "$18.00"), ("1,000", "1000.0"), ("1/2", "0.50"), ("+5", "5"), ("−5", "-5"), ("-$5", "-5"), (".5", "1/2"),
     ("1,234,567", "1234567"), ("a  b", "a b"), ("**Paris**.", "Paris"), (r"\$5", "5"), ("5.", "5"),
     ("50%", "0.5"), ("50%", "50"), ("50 percent", "50%"), ("18 eggs", "18"), ("18 egg", "18 eggs"),
     ("$5", "5 dollars")],
)  # fmt: skip
def test_same(one, other):
    assert same_answer(one, other)
    assert same_answer(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [("18", "19"), ("1", "12"), ("12", "1,2"), ("1e3", "1000"), ("", "0"), ("Paris", "paris"),
     ("1/0", "0"), ("18 eggs", "18 hens"), ("-5", "5"), ("50%", "0.5%"), ("50 eggs", "0.5")],
)  # fmt: skip
def test_different(one, other):
    assert not same_answer(one, other)


def test_numbers_that_would_hurt_are_texts():
    assert number("1e999999999") is None
    assert number("9" * 10_000) is None
    assert number("1/0") is None
    assert same_answer("9" * 10_000, "9" * 10_000)


@given(st.integers(-(10**12), 10**12), st.integers(0, 4))
def test_every_way_to_write_a_number(value, zeros):
    written = f"${value:,}" + ("." + "0" * zeros if zeros else "")
    assert number(written) == Fraction(value)
    assert same_answer(written, str(value))
    assert not same_answer(written, str(value + 1))
