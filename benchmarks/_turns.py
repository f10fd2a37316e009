"""Sides that take turns at the same work against one server, and peers in processes of their own."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from _latency_server import Counts, LatencyServer

Turn = Mapping[str, Any]
"""``seconds`` by the clock and ``cpu`` of the process that made a step, or an ``error``."""
Side = Callable[[int], Turn]
"""Makes a step on a batch of that many questions."""


@dataclass
class Taken:
    """What a side took over its turns; the counts are those of the last one."""

    name: str
    turns: list[Turn] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)

    @property
    def error(self) -> str:
        """Why there is no figure."""
        return next((turn["error"] for turn in self.turns if "error" in turn), "" if self.turns else "no turn")

    def median(self, what: str = "seconds") -> float | None:
        """Return the median over the turns, None where one failed."""
        return None if self.error else statistics.median(turn[what] for turn in self.turns)

    @property
    def calls(self) -> int | None:
        """The calls of one turn, None where one failed."""
        return None if self.error else self.counts.calls

    def __str__(self) -> str:
        if self.error:
            return f"{self.name}: {self.error[:160]}"
        return f"{self.name} ({self.counts.calls} calls, at most {self.counts.peak} at once)"


def take_turns(
    server: LatencyServer,
    sides: Mapping[str, Side],
    *,
    batch: int,
    repeats: int,
    latency_s: float = 0.05,
    fail_share: float = 0.0,
) -> list[Taken]:
    """Return what every side took; each is warmed up by a step on two questions, then they alternate."""
    taken = [Taken(name) for name in sides]
    ready = [item for item in taken if not _warmed_up(server, sides[item.name], item)]
    for _ in range(repeats):
        for item in ready:
            server.reset(latency_s=latency_s, fail_share=fail_share)
            item.turns.append(sides[item.name](batch))
            item.counts = server.counts()
    return taken


def _warmed_up(server: LatencyServer, side: Side, item: Taken) -> bool:
    """Make a step that does not count; keep it, and return True, if it failed."""
    server.reset(latency_s=0.001)
    turn = side(2)
    if "error" in turn:
        item.turns.append(turn)
    return "error" in turn


class Peer:
    """A peer in a process of its own, while the context is open.

    Args:
        python: an interpreter that has it.
        side: a name of ``_text_peers.SIDES``.
        url: of the server.
        environment: variables for its process.
    """

    def __init__(self, python: str, side: str, url: str, environment: Mapping[str, str] | None = None) -> None:
        self._command = [python, str(Path(__file__).with_name("_text_peers.py")), side, url]
        self._environment = os.environ | dict(environment or {})
        self._process: subprocess.Popen[str] | None = None
        self._error = ""
        self.version = ""

    def __enter__(self) -> Self:
        try:
            self._process = subprocess.Popen(
                self._command, env=self._environment, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        except OSError as error:
            self._error = f"cannot start {self._command[0]}: {error.strerror}"
        else:
            first = self._answer()
            self._error, self.version = first.get("error", ""), first.get("version", "")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def side(self, **workload: Any) -> Side:
        """Return what makes steps of one kind."""
        return lambda batch: self._ask({"batch": batch, **workload})

    def _ask(self, workload: Mapping[str, Any]) -> Turn:
        if self._error or self._process is None or self._process.stdin is None:
            return {"error": self._error}
        self._process.stdin.write(json.dumps(workload) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"error": "its process ended"}
        return answer


def named(sides: Iterable[Taken]) -> dict[str, Taken]:
    """Return sides by name."""
    return {side.name: side for side in sides}
