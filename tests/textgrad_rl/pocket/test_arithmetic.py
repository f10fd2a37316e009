"""Columns against Python's integers, and each misconception against an independent account of what it loses."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgrad_rl.pocket.arithmetic import assemble, digits, subtract_columns, work
from textgrad_rl.pocket.misconceptions import ALL, BORROW, CARRY, SIGN

LEFT, RIGHT = st.integers(-999, 999), st.integers(0, 99)
OPERATOR = st.sampled_from("+-")


def exact(left: int, operator: str, right: int) -> int:
    return left + right if operator == "+" else left - right


@given(st.integers(0, 10**6))
def test_digits_are_undone_by_assemble(number: int) -> None:
    assert assemble(digits(number, len(str(number)))) == number


@given(LEFT, OPERATOR, RIGHT)
def test_columns_agree_with_integers(left: int, operator: str, right: int) -> None:
    step = work(left, operator, right)
    assert step.value == exact(left, operator, right)
    assert step.expression == f"{left} {operator} {right}"
    for column in step.columns:
        side, result = column.split("=")
        assert eval(side) == int(result)


@given(LEFT, OPERATOR, RIGHT)
def test_forgotten_sign_flips_the_value_where_there_is_a_flip(left: int, operator: str, right: int) -> None:
    step, right_step = work(left, operator, right, {SIGN}), work(left, operator, right)
    assert step.columns == right_step.columns
    assert step.value == (-right_step.value if right_step.turn.startswith("flip") else right_step.value)


@given(LEFT, OPERATOR, RIGHT)
def test_forgotten_carry_and_borrow_lose_exactly_their_marks(left: int, operator: str, right: int) -> None:
    right_step = work(left, operator, right)
    text = ", ".join(right_step.columns)
    adds = "-" not in text
    assert work(left, operator, right, {BORROW if adds else CARRY}) == right_step
    step = work(left, operator, right, {CARRY, BORROW})
    assert not _third(step.columns)
    changed = any(_third([column]) for column in right_step.columns)
    assert (step == right_step) is not changed


def _third(columns: tuple[str, ...] | list[str]) -> bool:
    """Whether any column carries or borrows: three numbers on its left side."""
    return any(sum(column.split("=")[0].count(sign) for sign in "+-") == 2 for column in columns)


@given(st.integers(0, 999), st.integers(0, 99))
def test_forgotten_carry_adds_each_column_modulo_ten(top: int, bottom: int) -> None:
    width = max(len(str(top)), len(str(bottom)))
    pairs = zip(digits(top, width), digits(bottom, width), strict=True)
    expected = sum((s if i == width - 1 else s % 10) * 10**i for i, s in enumerate(a + b for a, b in pairs))
    assert work(top, "+", bottom, {CARRY}).value == expected


def test_by_hand() -> None:
    assert work(38, "+", 27).text == "38 + 27, 8+7=15, 3+2+1=6, so 65"
    assert work(38, "+", 27, {CARRY}).text == "38 + 27, 8+7=15, 3+2=5, so 55"
    assert work(62, "-", 25, {BORROW}).text == "62 - 25, 12-5=7, 6-2=4, so 47"
    assert work(24, "-", 91, {SIGN}).text == "24 - 91, flip 91-24, 11-4=7, 9-2-1=6, so 67"
    assert work(-67, "+", 95).text == "-67 + 95, swap 95-67, 15-7=8, 9-6-1=2, so 28"
    assert work(-67, "-", 8, set(ALL)).text == "-67 - 8, flip 67+8, 7+8=15, 6+0=6, so 65"


@given(LEFT, OPERATOR, RIGHT, st.integers())
def test_a_slip_is_always_wrong(left: int, operator: str, right: int, seed: int) -> None:
    assert work(left, operator, right, slip=random.Random(seed)).value != exact(left, operator, right)


def test_subtraction_does_not_go_below_zero() -> None:
    with pytest.raises(ValueError, match="negative"):
        subtract_columns(3, 5)
