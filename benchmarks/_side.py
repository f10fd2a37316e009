"""One side of a benchmark in a process of its own, which makes one turn whenever it is asked."""

from __future__ import annotations

import io
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, redirect_stdout, suppress
from pathlib import Path
from typing import Any, Self

Turn = dict[str, Any]


def say(what: Mapping[str, Any]) -> None:
    """Tell the process that started this one."""
    assert sys.__stdout__ is not None
    sys.__stdout__.write(json.dumps(what) + "\n")
    sys.__stdout__.flush()


def run_side(run: Callable[[str, dict[str, Any]], None]) -> None:
    """Be a side: run what the command line names with its workload; drop what libraries print, say what fails."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        with redirect_stdout(io.StringIO()):
            run(sys.argv[1], json.loads(sys.argv[2]))
    except Exception as error:
        say({"error": f"{type(error).__name__}: {error}"})


class Side:
    """A process while the context is open; it says its version, then a line of JSON for every line that it reads."""

    def __init__(
        self,
        python: str,
        script: Path,
        name: str,
        workload: Mapping[str, Any],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.command = [python, str(script), name, json.dumps(workload)]
        self.environment = environment
        self.name = name
        self.turns: list[Turn] = []
        self.error = ""

    def __enter__(self) -> Self:
        try:
            self.process = subprocess.Popen(
                self.command, text=True, env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )  # fmt: skip
        except OSError as error:
            self.error = f"{self.name}: cannot start {self.command[0]}: {error.strerror}"
            return self
        self.name = self._answer().get("version", self.name)
        return self

    def __exit__(self, *_: object) -> None:
        if hasattr(self, "process"):
            self.process.kill()
            self.process.communicate()

    def turn(self) -> None:
        """Take a turn."""
        if self.error:
            return
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # its answer says so
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        self.turns.append(self._answer())

    def _answer(self) -> Turn:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        answer: Turn = json.loads(line) if line else {"error": "its process ended"}
        if "error" in answer:
            self.error = f"{self.name}: {answer['error']}"[:160]
        return answer

    def median(self, what: str) -> float | None:
        """Return the median over the turns but the first, which warms up; None where one failed."""
        return None if self.error else statistics.median(turn[what] for turn in self.turns[1:])

    def __str__(self) -> str:
        return self.error or self.name


def take_turns(sides: Sequence[Side], turns: int) -> None:
    """Let every side take a turn that does not count, then let them alternate."""
    with ExitStack() as stack:
        for side in sides:
            stack.enter_context(side)
        for _ in range(turns + 1):
            for side in sides:
                side.turn()
