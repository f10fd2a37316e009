"""When two answers are the same: as numbers if both are numbers, else as normalised text.

Left out: units, percent signs and algebra. Use ``exact_match(extract=last_number)`` or :func:`math_verify` for those.
"""

from __future__ import annotations

import re
from fractions import Fraction

_NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)|[-+]?[0-9]+/[0-9]+")
_THOUSANDS = re.compile(r"(?<=[0-9]),(?=[0-9]{3}(?![0-9]))")


def normalised(answer: str) -> str:
    r"""Return the answer with single spaces, without ``$``, commas between thousands, marks around, last full stop.

    >>> normalised(" **$1,000.** ")
    '1000'
    """
    text = " ".join(answer.replace("\N{MINUS SIGN}", "-").replace("\\$", "").replace("$", "").split())
    return _THOUSANDS.sub("", text.strip("*_`\"' ").removesuffix(".").strip("*_`\"' "))


def number(answer: str) -> Fraction | None:
    """Return the exact value of an integer, decimal or fraction, None for anything else.

    Exponents are refused: ``1e999999999`` would need a number of that size.

    >>> number("18.00") == number("$18") == 18
    True
    """
    text = normalised(answer).replace(" ", "")
    if not _NUMBER.fullmatch(text):
        return None
    try:
        return Fraction(text.removesuffix("."))
    except (ValueError, ZeroDivisionError):  # more digits than Python converts, or n/0
        return None


def same_answer(one: str, other: str) -> bool:
    """Return whether two answers are equal.

    >>> same_answer("$1,000.00", "1000"), same_answer("1/2", "0.5"), same_answer("a  b.", "a b"), same_answer("2", "12")
    (True, True, True, False)
    """
    values = number(one), number(other)
    if None not in values:
        return values[0] == values[1]
    return normalised(one) == normalised(other)
