from fractions import Fraction

import pytest

from textgrad_rl_critics.named_numbers import in_words, named_numbers


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("18 and 18.00", [18]), ("1,000 or 1{,}000", [1000]), ("-5 or \N{MINUS SIGN}5", [-5]), ("3-5", [3, 5]),
     ("Seventeen or twenty-five, FORTY two", [17, 25, 42]), ("a hundred dozens", [100, 12]), ("H2O, x2, no one", []),
     ("\u0661\u0668", [18]), ("1.5 or .5", [Fraction(3, 2), 5]), ("", []), ("17th and _16_", [17, 16]),
     ("often, tension, weight", [])],
)  # fmt: skip
def test_numbers(text, numbers):
    assert named_numbers(text) == set(numbers)


def test_what_is_not_evaluated_is_text():
    assert named_numbers("9" * 5000) == {"9" * 5000}
    assert in_words("十七") == {"十七"}
    assert in_words("一共") == set()
