"""Run the loop in a process that is killed with SIGKILL again and again, and started again until it is done.

    python kill_worker.py FOLDER KILLS SEED

The parent imports everything once and forks a child per start, so that a start costs no import. A child runs the loop
on a function model whose latencies differ from start to start. It is killed by the parent after a random time, or
kills itself at a random one of the moments that matter: before, in the middle of and after a journal append, before and
after every fsync, rename and removal of a commit or checkpoint. A run that is done before the kills are used up is
followed by another one in a folder of its own. Prints, as JSON, what happened.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import Any

import textgrad_rl as tgr
from tests.support import toy
from textgrad_rl.models import FunctionModel
from textgrad_rl.trainer.trainer import Trainer  # noqa: F401  # the children find it loaded
from textgrad_rl_graphs import records
from textgrad_rl_graphs.journal import FileJournal
from textgrad_rl_graphs.types import Request

STEPS = 8


class Pipeline(tgr.Graph):
    """A draft, its check by a Function whose effect is journaled, and an answer; the prompts of both are trained."""

    def __init__(self, model: Any, tool: Callable[[str], str]) -> None:
        self.draft = tgr.LLM(model, system=tgr.Prompt("Solve."))
        self.tool = tgr.Function(tool, effects="repeatable")
        self.solve = tgr.LLM(model, system=tgr.Prompt("Solve."), template="{question}")

    async def forward(self, question: Any) -> Any:
        first, second = await asyncio.gather(self.draft(question=question), self.solve(question=question))
        return await self.tool(first, second)


def run(folder: Path, noise: int, log: FileIO) -> None:
    """Train from wherever the folder stands to the end; ``log`` gets a letter per call and one per answer."""
    latency = random.Random(noise)

    async def complete(request: Request) -> str:
        log.write(b"c")
        await asyncio.sleep(latency.random() * 0.003)
        log.write(b"r")  # and from here to the journal nothing waits
        return toy.answer(request)

    def tool(first: str, second: str) -> str:
        log.write(b"cr")
        return first if first == second else second

    model = FunctionModel(complete)
    graph = Pipeline(model, tool)
    toy.trainer(
        model, graph, run_dir=folder, refine=tgr.Refine(trigger="incorrect", node="solve"), gate=tgr.Gate(examples=8)
    ).fit(toy.sums(validation=6), steps=STEPS)


def kill_at(moment: int) -> None:
    """Kill this process at the n-th of the moments that matter."""
    left = moment

    def tick() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            tick()
            result = function(*args, **kwargs)
            tick()
            return result

        return wrapped

    write = FileJournal._write

    def torn_write(journal: FileJournal, file: FileIO, line: bytes) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            file.write(line[: len(line) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        write(journal, file, line)
        tick()

    FileJournal._write = torn_write  # type: ignore[method-assign]
    records._sync = around(records._sync)
    Path.rename = around(Path.rename)  # type: ignore[method-assign]
    Path.unlink = around(Path.unlink)  # type: ignore[method-assign]
    shutil.rmtree = around(shutil.rmtree)  # type: ignore[assignment]


def start(folder: Path, log_path: Path, noise: int, moment: int | None, delay: float | None) -> bool:
    """Fork a child that runs the loop; return whether it came to the end."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            if moment is not None:
                kill_at(moment)
            run(folder, noise, FileIO(log_path, "w"))
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    if delay is not None:
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return False
    if os.WEXITSTATUS(status):
        raise SystemExit(f"the loop failed in {folder}")
    return True


def main(folder: Path, kills: int, seed: int) -> dict[str, Any]:
    """Return, for every run, starts, calls begun, and calls without an answer when a kill came."""
    draw = random.Random(seed)
    killed, runs = 0, []
    while killed < kills or not runs:
        name, found = f"run{len(runs)}", {"starts": 0, "calls": 0, "in_flight": 0}
        done = False
        while not done:
            moment = delay = None
            if killed < kills:
                if killed % 2:
                    delay = draw.uniform(0.01, 0.4)
                else:
                    moment = draw.randint(1, 400)
            log_path = folder / "log"
            log_path.write_bytes(b"")
            done = start(folder / name, log_path, draw.randrange(10**6), moment, delay)
            log = log_path.read_bytes()
            begun, answered = log.count(b"c"), log.count(b"r")
            found["starts"] += 1
            found["calls"] += begun
            if not done:
                killed += 1
                found["in_flight"] += begun - answered
        runs.append(found)
    return {"killed": killed, "runs": runs}


if __name__ == "__main__":
    warnings.simplefilter("error")
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
