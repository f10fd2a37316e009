"""The critic that remembers: feedback from the records of an earlier run, at no cost.

Left out: answers of inner nodes, which critics of their own judged.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, final

from textgrad_rl_critics.critic import Critic, assess, check, lowest
from textgrad_rl_graphs.errors import RecordsError
from textgrad_rl_graphs.feedback import Case, Feedback
from textgrad_rl_graphs.feedback import Critic as AnyCritic
from textgrad_rl_graphs.given_critic import as_critic
from textgrad_rl_graphs.hashing import digest
from textgrad_rl_graphs.records import SCHEMA, read_json, read_lines
from textgrad_rl_graphs.trace import Failure
from textgrad_rl_graphs.types import Example


@final
class Replay(Critic):
    """Gives the feedback that the same response to the same example got before.

    Args:
        path: a run directory (its ``steps/*/cases.jsonl``, and what ``steps/*/step.json`` holds of refinements and of
            runs that were thrown away), or a JSON Lines file of such cases, as
            ``dump_lines(case_record(trace, feedback) ...)`` of :mod:`textgrad_rl_graphs.records` writes it. Fields:
            ``example_id``, ``output``, ``score``, and what else there is of ``correct``, ``critique``, ``fault``,
            ``sees`` and ``components``.
        fallback: who judges what is not recorded; without one it is unscored.
        name: how records call it.

    Of several feedbacks on the same response the last one holds, and one with a critique before one without. What a
    critic failed on is not taken over.

    Raises:
        RecordsError: when there is nothing to read, it is of another schema, or a line is no judged case.
    """

    def __init__(self, path: str | Path, *, fallback: AnyCritic | None = None, name: str = "replay") -> None:
        self.path = str(path)
        self.fallback = None if fallback is None else as_critic(fallback, "Replay(fallback=...)")
        self.name = name
        self._known = _read(Path(path))
        scores = [feedback.score for feedback in self._known.values() if feedback.score is not None]
        self.lowest = min([0.0, *scores, *([] if fallback is None else [lowest(fallback)])])

    def check(self, examples: Iterable[Example]) -> None:
        if self.fallback is not None:
            check([self.fallback], examples)

    async def judge(self, cases: Sequence[Case], *, critiques: bool) -> Sequence[Feedback | Failure]:
        found = (self._known.get(_key(case.example.key, case.text)) for case in cases)
        known = [item if item is None or critiques else replace(item, critique="") for item in found]
        if self.fallback is not None:
            new = [case for case, feedback in zip(cases, known, strict=True) if feedback is None]
            judged = iter(await assess(self.fallback, new, critiques=critiques) if new else [])
            return [next(judged) if feedback is None else feedback for feedback in known]
        reason = f"the response is none of the {len(self._known)} recorded in {self.path}; fallback=... would judge it"
        unknown = Failure(self.name, reason)
        return [unknown if feedback is None else feedback for feedback in known]


def _key(example_id: str, text: str) -> str:
    return digest(example_id, text)


def _read(path: Path) -> dict[str, Feedback]:
    """Return the recorded feedback by key."""
    found: dict[str, Feedback] = {}
    for where, record in _records(path):
        if not isinstance(record, dict) or not {"example_id", "output", "score"} <= record.keys():
            raise RecordsError(f"{where} is no case: it needs example_id, output and score")
        if record["output"] is None or record["score"] is None or "node" in record:  # of an inner node's critic
            continue
        key, feedback = _key(record["example_id"], record["output"]), _feedback(record, where)
        if feedback.critique or not (key in found and found[key].critique):
            found[key] = feedback
    return found


def _records(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield where a judged run stands, and its record: those of a step, then its refinements and what it refilled."""
    if path.is_file():
        yield from _lines(path)
        return
    for file in _case_files(path):
        yield from _lines(file)
        step = read_json(place := file.with_name("step.json"))
        refined = [item["case"] for item in step.get("refinements", []) if item.get("case") is not None]
        yield from ((f"{place}, a refinement", case) for case in refined)
        yield from ((f"{place}, a case thrown away", case) for case in step.get("thrown", []))


def _lines(file: Path) -> Iterator[tuple[str, Any]]:
    return ((f"{file}, line {number}", record) for number, record in enumerate(read_lines(file), 1))


def _case_files(path: Path) -> list[Path]:
    if not (path / "run.json").exists():
        raise RecordsError(f"{path} is neither a run directory nor a file of cases")
    if (schema := read_json(path / "run.json").get("schema")) != SCHEMA:
        raise RecordsError(f"{path} has records of schema {schema}, this version reads {SCHEMA}")
    files = sorted((path / "steps").glob("*/cases.jsonl"))
    if not files:
        raise RecordsError(f"{path} holds no judged step yet")
    return files


def _feedback(record: Mapping[str, Any], where: str) -> Feedback:
    score = record["score"]
    if not isinstance(score, int | float) or not math.isfinite(score):
        raise RecordsError(f"{where}: the score is {score!r}, not a number")
    told = {name: record[name] for name in ("correct", "critique", "fault", "sees", "components") if name in record}
    return Feedback(score=float(score), **told)
