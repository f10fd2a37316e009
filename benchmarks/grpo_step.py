"""One GRPO step on the CPU (generation, loss, gradient, optimizer): seconds and memory, beside TRL.

    python benchmarks/grpo_step.py [--quick] [--json PATH] [--peer-python PATH]

8 prompts with 8 answers of 64 tokens each, 2.2 M random weights in float32, one thread. Figures are CPU seconds of the
process that makes the step (this machine may do something else meanwhile), medians of turns that the sides take, and
the peak of resident memory above what the imports need, each side and case in a process of its own. TRL runs in a
Python that has it (the extra ``bench``, or one named by --peer-python). Ours does what a training step does: a seed per
answer, a stop string, log-probabilities of the sampler, entropy.

Left out: a GPU, and vLLM on either side.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from _common import Row, report, row
from _side import Side, take_turns

WORK = {"prompt": 128, "completion": 64, "groups": 8, "samples": 8}
QUICK = {"prompt": 16, "completion": 8, "groups": 2, "samples": 4}


def side(python: str, name: str, workload: dict[str, Any]) -> Side:
    """Return one side of a case."""
    return Side(python, Path(__file__).with_name("_grpo_sides.py"), name, workload)


def answers(one: Side) -> str:
    """Return the length of a side's answers, or why it made none."""
    return one.error or f"{one.median('generated'):.0f} tokens per answer"


def against_trl(case: str, peer_python: str, workload: dict[str, Any], turns: int, faster: float | None) -> list[Row]:
    """Return seconds and memory of a case; the targets are so many times faster, and 0.6 of the memory."""
    ours, trl = side(sys.executable, "ours", workload), side(peer_python, "trl", workload)
    take_turns([ours, trl], turns)
    seconds, memory = trl.median("cpu"), trl.median("peak_mb")
    target = seconds / faster if seconds and faster else None
    name = trl.error or f"{trl.name}, {answers(trl)}"
    return [
        row(f"{case} ({answers(ours)})", "CPU s", ours.median("cpu"), peer=seconds, peer_name=name, target=target),
        row(f"{case}: peak memory", "MB", ours.median("peak_mb"), peer=memory, peer_name=trl.name,
            target=memory and faster and 0.6 * memory),
    ]  # fmt: skip


def refinements(work: dict[str, Any], turns: int, *, quick: bool) -> list[Row]:
    """Return what Critique-GRPO takes beside GRPO, both ours: critics that know right from wrong cost no call."""
    sides = [side(sys.executable, "ours", work | {"refinements": count}) for count in (0, 1, work["samples"])]
    take_turns(sides, turns)
    plain, one, every = (item.median("cpu") for item in sides)
    target = 1.35 * plain if plain and not quick else None
    return [
        row("Critique-GRPO, one refinement per prompt", "CPU s", one, peer=plain, peer_name="our GRPO", target=target),
        row("Critique-GRPO, all refined, one kept (paper)", "CPU s", every, peer=plain, peer_name="our GRPO"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="where to write the rows")
    parser.add_argument("--quick", action="store_true", help="small batches, one turn")
    parser.add_argument("--turns", type=int, default=5, help="steps of every side that count")
    parser.add_argument("--peer-python", default=sys.executable, help="an interpreter that has trl")
    options = parser.parse_args()
    work, turns = (QUICK, 1) if options.quick else (WORK, options.turns)
    cases: list[tuple[str, dict[str, Any], float | None]] = [
        (f"prompt {prompt}, {work['completion']} tokens", work | {"prompt": prompt}, faster)
        for prompt, faster in ({16: None} if options.quick else {32: 1.4, 128: 2.2, 256: 3.2}).items()
    ]
    if not options.quick:
        cases.append(
            ("prompt 32, variable length, at most 256", work | {"prompt": 32, "completion": 256, "ends": True}, 3)
        )
    rows = [
        line
        for case, workload, faster in cases
        for line in against_trl(case, options.peer_python, workload, turns, faster)
    ]
    report("grpo_step", rows + refinements(work, turns, quick=options.quick), options.json)


if __name__ == "__main__":
    main()
