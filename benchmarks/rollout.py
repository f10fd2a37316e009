"""Rollouts of a policy: tokens per second of both engines, and what it costs to give vLLM new weights.

    python benchmarks/rollout.py [--quick] [--json PATH] [--peer-python PATH]

``pocket`` in float32 answers 64 requests with so many tokens each (nothing ends them sooner), with one thread and with
two; the sides take turns, each in a process of its own. Seconds are wall-clock (threads that wait for each other spin,
which CPU seconds would count): run it on a machine that does nothing else. The push is a share of a training step:
rollout, gradient, optimizer and push. vLLM runs in a Python that has it (--peer-python, or what ``make test-all``
set up).

Left out: a GPU.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from _common import Row, report, row
from _side import Side, take_turns

WORK = {"sequences": 64, "tokens": 128}
QUICK = {"sequences": 8, "tokens": 16}


def engines(python: str, work: dict[str, Any], threads: int, turns: int, *, quick: bool) -> list[Row]:
    """Return both engines' tokens per second, and the share of the push where vLLM ran."""
    script = Path(__file__).with_name("_rollout_sides.py")
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    ours = Side(sys.executable, script, "transformers", work, environment)
    vllm = Side(python, script, "vllm", work, environment)
    take_turns([ours, vllm], turns)
    case = f"{work['sequences']} sequences of {work['tokens']} tokens, {threads} thread{'s' * (threads > 1)}"
    rows = [
        row(case, "tokens/s", ours.median("tokens_per_s"), peer=vllm.median("tokens_per_s"), peer_name=str(vllm),
            higher_is_better=True),
    ]  # fmt: skip
    if not vllm.error:
        rows.append(row(f"{case}: push", "share of a step", vllm.median("push_share"), target=None if quick else 0.05))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="where to write the rows")
    parser.add_argument("--quick", action="store_true", help="few short sequences, one thread, one turn")
    parser.add_argument("--turns", type=int, default=5, help="steps of every side that count")
    inside = Path(sys.prefix) / "vllm" / "bin" / "python"
    default = str(inside) if inside.exists() else sys.executable
    parser.add_argument("--peer-python", default=default, help="an interpreter that has vLLM")
    options = parser.parse_args()
    work, turns = (QUICK, 1) if options.quick else (WORK, options.turns)
    rows = [
        line
        for threads in ((1,) if options.quick else (1, 2))
        for line in engines(options.peer_python, work, threads, turns, quick=options.quick)
    ]
    report("rollout", rows, options.json)


if __name__ == "__main__":
    main()
