"""The process behind :mod:`textgrad_rl_critics.expressions`: reads a pair of expressions per line, compares, replies.

The system ends it when a pair takes too much processor time, so that the limit also holds in C code, after the parent's
death, and blames nobody for a busy machine. Run as a script; it imports nothing of this library. Left out: Windows.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import resource
import signal
import sys
from typing import Any

_MEMORY_BYTES = 2 << 30


def main() -> None:
    """Compare until the input ends."""
    with contextlib.suppress(ValueError, OSError):  # no such limit on this system, or a lower one
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    seconds = float(sys.argv[1])
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    with open(os.devnull, "w") as nothing:  # noqa: PTH123  # a device
        os.dup2(nothing.fileno(), 1)
        logging.disable()
        same = _comparison()
        print("ready", file=replies, flush=True)
        for line in sys.stdin:
            signal.setitimer(signal.ITIMER_PROF, seconds)
            try:
                reply: dict[str, Any] = {"same": same(**json.loads(line))}
            except (Exception, RecursionError) as error:
                reply = {"error": type(error).__name__}
            signal.setitimer(signal.ITIMER_PROF, 0)
            print(json.dumps(reply), file=replies, flush=True)


def _comparison() -> Any:
    from math_verify import parse, verify

    @functools.lru_cache(maxsize=256)
    def read(text: str) -> Any:
        return parse(f"${text}$", parsing_timeout=None)

    def same(*, answer: str, gold: str) -> bool:
        return bool(verify(read(gold), parse(f"${answer}$", parsing_timeout=None), timeout_seconds=None))

    return same


if __name__ == "__main__":
    main()
