"""The process of a whole program: it reads stdin and writes stdout, as scripts do."""

from __future__ import annotations

import json
import os
import sys

from .confine import confine


def main() -> None:
    """Run the code as ``__main__``."""
    with os.fdopen(int(sys.argv[2])) as file:
        setup = json.load(file)
    confine(setup["limits"], filtered=setup["filtered"])
    exec(compile(setup["code"], "solution.py", "exec"), {"__name__": "__main__"})
