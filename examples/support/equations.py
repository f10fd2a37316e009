"""Read equations that a model wrote. Left out: powers and functions."""

import re

import sympy

from textgrad_rl import PolicyFaultError


def read(text: str) -> list[sympy.Eq]:
    """Return the equations of a text, one per line.

    Sympy runs what it reads as Python, so names, numbers and arithmetic alone may get that far.

    Raises:
        PolicyFaultError: for anything else.

    >>> read("x + y = 3")
    [Eq(x + y, 3)]
    """
    lines = [line for line in text.split("\n") if line.strip()]
    for line in lines:
        if "**" in line or line.count("=") != 1 or not re.fullmatch(r"(\d+(\.\d+)?|[a-z]+|[-+*/()=\s])+", line):
            raise PolicyFaultError(
                f"not an equation of names in small letters, numbers and + - * / ( ): {line[:200]!r}"
            )
    names = {name: sympy.Symbol(name) for name in re.findall("[a-z]+", text)}
    try:
        return [sympy.Eq(*(sympy.sympify(side, names) for side in line.split("="))) for line in lines]
    except sympy.SympifyError as error:
        raise PolicyFaultError(f"not an equation: {error}") from error
