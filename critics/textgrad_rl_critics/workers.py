"""Processes that answer requests line by line, and are replaced when one dies over a request.

Why not a process pool: multiprocessing either copies this process, with the threads of torch, or runs the user's script
again, which then needs a ``__main__`` guard. Left out: limits; the process ends itself when a request takes too long.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import weakref
from collections.abc import Sequence
from typing import Any, final

from textgrad_rl_graphs.errors import ConfigError


@final
class Workers:
    """Up to ``size`` processes of one command, each started when it is first needed.

    A process writes ``ready``, then a line of JSON for each line of JSON it reads. They end with this object, or with
    the program, without a warning.

    Args:
        command: what to start.
        size: how many at most; one per core when None.
    """

    def __init__(self, command: Sequence[str], *, size: int | None = None) -> None:
        self._idle: queue.LifoQueue[_Worker] = queue.LifoQueue()  # the last one first: few are ever started
        for _ in range(size or os.cpu_count() or 1):
            self._idle.put(_Worker(command))

    def ask(self, request: Any) -> Any:
        """Return the reply; waits for an idle process, from any thread.

        Raises:
            EOFError: when the process died over the request; the next request gets a new one.
            ConfigError: when none can be started.
        """
        worker = self._idle.get()
        try:
            return worker.ask(request)
        finally:
            self._idle.put(worker)


@final
class _Worker:
    def __init__(self, command: Sequence[str]) -> None:
        self._command = list(command)
        self._process: subprocess.Popen[str] | None = None

    def ask(self, request: Any) -> Any:
        if self._process is None:
            self._process = self._start()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line.endswith("\n"):
            _stop(self._process)
            self._process = None
            raise EOFError("the process died over the request")
        return json.loads(line)

    def _start(self) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8"
        )
        weakref.finalize(self, _stop, process)
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            _stop(process)
            raise ConfigError(f"a process cannot be started; see what it says: {' '.join(self._command)}")
        return process


def _stop(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None and not stream.closed:
            try:
                stream.close()
            except BrokenPipeError:  # a request that was not read
                continue
