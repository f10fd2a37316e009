"""The process of a whole program: it reads stdin and writes stdout, as scripts do."""

from __future__ import annotations

from .confine import enter


def main() -> None:
    """Run the code as ``__main__``."""
    code = enter()["code"]
    exec(compile(code, "solution.py", "exec"), {"__name__": "__main__"})
