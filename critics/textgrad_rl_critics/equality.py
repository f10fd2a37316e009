r"""When two answers are the same: as numbers, with or without a unit, if both are numbers; else as normalised text.

A number is written as people and models do: ``1,000``, ``1{,}000``, ``$18.00``, ``\$18``, ``18 dollars``, ``3/4``,
``\frac{3}{4}``, ``1 3/4``, ``**18**``, ``50%``, a minus sign of Unicode, the digits of any script.
Left out: algebra, exponents (:func:`~textgrad_rl_critics.scorers.math_verify` knows both) and conversion of units.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction
from typing import final

_MOST_CHARACTERS = 200
"""A longer text is no number; Python reads at most 4,300 digits."""

_THOUSANDS = re.compile(r"(?<=[0-9]),(?=[0-9]{3}(?![0-9]))")
_MARKS = "*_`\"' "
_BOLD = re.compile(r"(?<!\w)\*\*([^*]+)\*\*(?!\w)|(?<=\w)\*\*(?=\s+[^\W\d_])")  # 2**3 is a power
_SIGNS = str.maketrans(
    dict.fromkeys("\u2212\u2010\u2011\u2012\u2013\u2014\ufe63", "-")  # minus signs, hyphens and dashes
    | {"\u066b": ".", "\u066c": ",", "\u066a": "%", "°": " degrees "}  # Arabic separators and percent sign
    | dict.fromkeys("$€£¥₹", "")
)

_LATEX = (
    (re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mbox|operatorname|boxed)\s*\{([^{}]*)\}"), r" \1"),
    (re.compile(r"\\[dt]?frac\s*(?:\{([^{}]*)\}|(\d))\s*(?:\{([^{}]*)\}|(\d))"), r" \1\2/\3\4 "),
    (re.compile(r"\\(?:left|right)(?![a-zA-Z])|\\[()\[\]!,;: ]|\{\}"), ""),
    (re.compile(r"\{,\}"), ","),
    (re.compile(r"\\%"), "%"),
    (re.compile(r"\^\s*\\circ|\^\{\\circ\}|\\degree"), " degrees "),
)

_NUMBER = re.compile(
    r"""
    (?P<sign>[-+]?)\s*
    (?: (?:(?P<whole>\d+)\s+)? (?P<top>\d+)\s*/\s*(?P<bottom>\d+)       # 3/4, 1 3/4
      | (?P<digits> \d{1,3}(?:,\d{3})+(?:\.\d*)? | \d{1,3}(?:\ \d{3})+(?:\.\d*)? | \d+(?:\.\d*)? | \.\d+ )
    )
    \s*(?P<unit> % | [^\W\d_]+\.?(?:\^?[23])?(?:[\ /-][^\W\d_]+\.?(?:\^?[23])?){0,3} )?
    """,
    re.VERBOSE,
)
_NO_UNIT = frozenset([
    "and", "approximately", "billion", "but", "cubed", "dozen", "false", "half", "hundred", "if", "incorrect",
    "is", "isn", "k", "maybe", "mill", "million", "minus", "mod", "no", "nor", "not", "or", "over", "pi",
    "plus", "possibly", "probably", "quarter", "squared", "than", "third", "thousand", "times", "to",
    "trillion", "vs", "wrong",
])  # fmt: skip
"""Words that change the number before them, or take it back."""
_UNITS_OF_ONE_LETTER = frozenset("gmshlLWJNVAC")
"""Other letters alone are variables: 18x is no number. Signs without case, as 元, are units."""


@final
@dataclass(frozen=True, slots=True)
class Quantity:
    """A number and its unit, ``""`` without one."""

    value: Fraction
    unit: str = ""

    def same(self, other: Quantity) -> bool:
        """Return whether both are equal; a unit that only one of them has is forgiven, and 50% is both 50 and 0.5."""
        if self.value == other.value:
            return self.unit == other.unit or not (self.unit and other.unit)
        units = {self.unit: self.value, other.unit: other.value}
        return units.keys() == {"", "%"} and units[""] * 100 == units["%"]


def normalised(answer: str) -> str:
    r"""Return the answer with single spaces, without ``$``, commas between thousands, marks around, last full stop.

    >>> normalised(" **$1,000.** ")
    '1000'
    """
    text = " ".join(answer.replace("\N{MINUS SIGN}", "-").replace("\\$", "").replace("$", "").split())
    return _THOUSANDS.sub("", text.strip(_MARKS).removesuffix(".").strip(_MARKS))


def quantity(answer: str) -> Quantity | None:
    r"""Return the exact number that an answer is, with its unit; None for anything else, two numbers included.

    >>> quantity(r"\$1{,}000.50"), quantity("-3/4 miles per hour"), quantity("17 or 18"), quantity("18 thousand")
    (Quantity(value=Fraction(2001, 2), unit=''), Quantity(value=Fraction(-3, 4), unit='mile per hour'), None, None)
    """
    if len(answer) > _MOST_CHARACTERS:
        return None
    match = _NUMBER.fullmatch(_plain(answer))
    if match is None:
        return None
    unit = _unit(match["unit"] or "")
    if unit is None:
        return None
    if match["bottom"]:
        if int(match["bottom"]) == 0:
            return None
        value = int(match["whole"] or 0) + Fraction(int(match["top"]), int(match["bottom"]))
    else:
        value = Fraction(match["digits"].replace(",", "").replace(" ", "").removesuffix("."))
    return Quantity(-value if match["sign"] == "-" else value, unit)


def number(answer: str) -> Fraction | None:
    """Return the exact value of an answer that is a number, None for anything else.

    >>> number("18.00") == number("$18") == number("18 dollars") == 18
    True
    """
    found = quantity(answer)
    return None if found is None else found.value


def same_answer(one: str, other: str) -> bool:
    """Return whether two answers are equal.

    >>> same_answer("$1,000.00", "1000"), same_answer("1/2", "0.5"), same_answer("a  b.", "a b"), same_answer("2", "12")
    (True, True, True, False)
    """
    left, right = quantity(one), quantity(other)
    if left is not None and right is not None:
        return left.same(right)
    return normalised(one) == normalised(other)


def _plain(answer: str) -> str:
    """Return the answer without what does not change a number: marks, LaTeX, currency signs; digits as 0 to 9."""
    text = answer
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
        text = "".join(str(unicodedata.digit(sign)) if sign.isdecimal() else sign for sign in text)
    text = text.replace("\\$", "").translate(_SIGNS)
    if "\\" in text or "{" in text:
        for pattern, plain in _LATEX:
            text = pattern.sub(plain, text)
    text = " ".join(_BOLD.sub(r"\1", text).split()).strip(_MARKS)
    return text.removesuffix(".").rstrip(_MARKS)


def _unit(words: str) -> str | None:
    """Return a unit in the singular, ``"%"`` for percent, None for words that change the number."""
    if len(words) == 1 and words.lower() != words.upper() and words not in _UNITS_OF_ONE_LETTER:
        return None
    parts = [part.rstrip(".").casefold() for part in re.split(r"[ /-]", words)]
    if not _NO_UNIT.isdisjoint(parts):
        return None
    unit = " ".join(part[:-1] if len(part) > 2 and part.endswith("s") else part for part in parts)
    return "%" if unit in ("percent", "per cent") else unit
