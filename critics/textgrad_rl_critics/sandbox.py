"""Run code of unknown origin, e.g. what a model wrote, in processes that can do little.

    isolation      processes, signals    network    files of this user       environment    time, memory, output
    bubblewrap     none                  none       none                     empty          limited
    seccomp        none                  none       can be read, written     empty          limited
    limits         yes                   yes        can be read, written     empty          limited

Which one is in force depends on the machine: ``Sandbox().isolation``. Bubblewrap
(https://github.com/containers/bubblewrap) is in the package manager of every Linux; the filter of system calls needs
Linux on x86-64 or ARM64. Left out: faults of the kernel, which a virtual machine would contain; and packages: code in
the sandbox has the standard library alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Literal, final, get_args

from textgrad_rl_graphs.errors import ConfigError
from textgrad_rl_graphs.sync import blocking

Isolation = Literal["limits", "seccomp", "bubblewrap"]

_INSIDE = Path(__file__).with_name("sandboxed")
_START = (
    "import sys; sys.path.insert(0, sys.argv[1]); from importlib import import_module; "
    "inside = import_module(sys.argv[3]); del sys.path[0]; inside.main()"
)
_MIB = 1 << 20


@final
@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program ended.

    Attributes:
        output: what it wrote to stdout.
        reason: why it did not end by itself, or the last line of its error; ``""`` when all went well.
    """

    output: str
    reason: str


@final
@dataclass(frozen=True, slots=True)
class Report:
    """How tests went.

    Attributes:
        passed: of each test in order, as far as they came.
        reasons: why each of the others failed.
        stopped: why the tests came to no end; ``""`` when they did.
        broken: what is wrong with a test itself.
    """

    passed: tuple[bool, ...]
    reasons: tuple[str, ...]
    stopped: str
    broken: str


@final
@dataclass(frozen=True, kw_only=True)
class Sandbox:
    r"""Runs Python code in an empty folder, with an empty environment, the standard library and limits.

    Args:
        require: refuse to run code with less isolation than this.
        seconds: by the clock, for all tests of one piece of code, or one run of a program.
        cpu_seconds: of processor time, whole seconds.
        memory_mib: of address space per process.
        output_mib: of every file, stdout included.
        concurrent: how many pieces of code run at once; one per core when None.

    >>> Sandbox().run("print(6 * int(input()))", "7")
    Outcome(output='42\n', reason='')
    >>> Sandbox().run("import socket; socket.socket()").reason
    'PermissionError: [Errno 1] Operation not permitted'
    """

    require: Isolation = "seccomp"
    seconds: float = 10.0
    cpu_seconds: int = 5
    memory_mib: int = 512
    output_mib: int = 4
    concurrent: int | None = None

    def __post_init__(self) -> None:
        """Reject values without a meaning."""
        if self.require not in get_args(Isolation):
            raise ConfigError(f"Sandbox(require=...) is one of {', '.join(get_args(Isolation))}, got {self.require!r}")
        for name in ("seconds", "cpu_seconds", "memory_mib", "output_mib"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"Sandbox({name}=...) must be above 0, got {getattr(self, name)}")
        if self.concurrent is not None and self.concurrent < 1:
            raise ConfigError(f"Sandbox(concurrent=...) must be at least 1, got {self.concurrent}")

    @cached_property
    def isolation(self) -> Isolation:
        """The strongest isolation that works on this machine, found by trying once."""
        strong: tuple[Isolation, ...] = ("bubblewrap", "seccomp")
        return next((name for name in strong if _works(name, self._setup(name))), "limits")

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.concurrent or os.cpu_count() or 1, thread_name_prefix="textgrad-rl-sandbox")

    async def arun(self, program: str, stdin: str = "") -> Outcome:
        """Run a program to its end.

        Args:
            program: its source.
            stdin: what it reads.

        Raises:
            ConfigError: when this machine offers less than the required isolation.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, program, stdin)

    async def acheck(self, code: str, steps: Sequence[tuple[str, bool]], *, entry_point: str | None = None) -> Report:
        """Run tests of a piece of code, which runs in another process than they do.

        Args:
            code: what is tested.
            steps: statements in order, each with whether it is a test or prepares those that follow.
            entry_point: a name the tests use although Python has one like it, e.g. ``sum``.

        Raises:
            ConfigError: when this machine offers less than the required isolation.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._check, code, steps, entry_point)

    run = blocking(arun)
    check = blocking(acheck)

    def _run(self, program: str, stdin: str) -> Outcome:
        setup = self._required() | {"code": program}
        with tempfile.TemporaryFile() as given:
            given.write(stdin.encode())
            given.seek(0)
            with _started("program", setup, stdin=given) as process:
                late = process.wait(self.seconds)
                return Outcome(process.output(), f"stopped after {self.seconds} s" if late else process.reason())

    def _check(self, code: str, steps: Sequence[tuple[str, bool]], entry_point: str | None) -> Report:
        required = self._required()
        with contextlib.ExitStack() as stack:
            read_request, write_request, read_reply, write_reply = (*os.pipe(), *os.pipe())
            with contextlib.ExitStack() as ours:
                for end in (read_request, write_request, read_reply, write_reply):
                    ours.callback(os.close, end)
                there: dict[str, Any] = {"code": code, "requests": read_request, "replies": write_reply}
                here: dict[str, Any] = {"steps": list(steps), "entry_point": entry_point}
                here |= {"requests": write_request, "replies": read_reply}
                solution = stack.enter_context(_started("solution", required | there, (read_request, write_reply)))
                tests = stack.enter_context(_started("checks", required | here, (write_request, read_reply)))
            late = tests.wait(self.seconds)
            lines = [json.loads(line) for line in tests.output().splitlines()]
            last = lines[-1] if lines else {}
            stopped = ""
            if late:
                stopped = f"stopped after {self.seconds} s"
            elif "gone" in last:
                solution.wait(1.0)
                stopped = solution.reason() or "it ended its process before the tests ended"
            elif "failed" in last:
                stopped = last["failed"]
            elif "done" not in last and "broken" not in last:
                last = {"broken": f"the process of the tests ended: {tests.reason()}"}
            results = [line for line in lines if "passed" in line]
            return Report(
                passed=tuple(line["passed"] for line in results),
                reasons=tuple(line["why"] for line in results if not line["passed"]),
                stopped=stopped,
                broken=last.get("broken", ""),
            )

    def _required(self) -> dict[str, Any]:
        order = get_args(Isolation)
        if order.index(self.isolation) < order.index(self.require):
            raise ConfigError(
                f"the sandbox requires the isolation {self.require!r}, and this machine offers {self.isolation!r}: "
                f"install bubblewrap (apt install bubblewrap), or accept less by Sandbox(require={self.isolation!r})"
            )
        return self._setup(self.isolation)

    def _setup(self, isolation: Isolation) -> dict[str, Any]:
        limits = {
            "RLIMIT_AS": self.memory_mib * _MIB, "RLIMIT_CORE": 0, "RLIMIT_CPU": self.cpu_seconds,
            "RLIMIT_FSIZE": self.output_mib * _MIB, "RLIMIT_NOFILE": 64,
        }  # fmt: skip
        filtered = isolation != "limits"
        if not filtered:
            limits["RLIMIT_NPROC"] = 256  # of this user in all; the filter allows none
        return {"isolation": isolation, "limits": limits, "filtered": filtered}


@final
class _Process:
    """One confined process, and the files it writes to."""

    def __init__(self, process: subprocess.Popen[bytes], stdout: IO[bytes], stderr: IO[bytes]) -> None:
        self._process, self._stdout, self._stderr = process, stdout, stderr

    def wait(self, seconds: float) -> bool:
        """Return whether it is late, and then end it with all of its group."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return True
        return False

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def output(self) -> str:
        self._stdout.seek(0)
        return self._stdout.read().decode("utf-8", "replace")

    def reason(self) -> str:
        """Return why it ended otherwise than well: a signal, or the last line of its error."""
        code = self._process.returncode
        number = -code if code < 0 else code - 128  # a shell, and bubblewrap, add 128
        if number in (signal.SIGXCPU, signal.SIGKILL):
            return "stopped, it used up its processor time or memory"
        self._stderr.seek(0)
        lines = self._stderr.read().decode("utf-8", "replace").strip().splitlines()
        return (lines[-1][:500] if lines else f"ended with code {code}") if code else ""


@contextlib.contextmanager
def _started(
    role: str, setup: Mapping[str, Any], pass_fds: Sequence[int] = (), *, stdin: IO[bytes] | int = subprocess.DEVNULL
) -> Iterator[_Process]:
    """Start a process of the sandbox in an empty folder; at the end it is killed, and the folder is gone."""
    with (
        tempfile.TemporaryDirectory(prefix="sandbox-") as folder,
        tempfile.TemporaryFile() as settings,
        tempfile.TemporaryFile() as stdout,
        tempfile.TemporaryFile() as stderr,
    ):
        settings.write(json.dumps(setup).encode())
        settings.seek(0)
        command = [*_python(), str(_INSIDE.parent), str(settings.fileno()), f"{_INSIDE.name}.{role}"]
        if setup["isolation"] == "bubblewrap":
            command = [*_bubblewrap(), *command]
        process = _Process(
            subprocess.Popen(
                command, cwd=folder, env={}, stdin=stdin, stdout=stdout, stderr=stderr, start_new_session=True,
                pass_fds=(settings.fileno(), *pass_fds),
            ),
            stdout,
            stderr,
        )  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def _python() -> list[str]:
    """Return the interpreter below a virtual environment: no packages, no environment variables, no user's folder."""
    return [os.path.realpath(sys.executable), "-I", "-S", "-B", "-X", "utf8", "-c", _START]


def _bubblewrap() -> list[str]:
    """Return what to put before a command: no network, processes of its own, and of the files Python's alone."""
    command = [shutil.which("bwrap") or "bwrap", "--unshare-all", "--die-with-parent", "--uid", "65534", "--gid"]
    command += ["65534", "--cap-drop", "ALL", "--clearenv", "--hostname", "sandbox"]
    command += ["--size", str(16 * _MIB), "--tmpfs", "/sandbox"]
    for path in ("/usr", "/lib", "/lib64", "/bin"):
        if Path(path).is_symlink():
            command += ["--symlink", str(Path(path).readlink()), path]
        elif Path(path).exists():
            command += ["--ro-bind", path, path]
    for folder in (sys.base_prefix, str(_INSIDE)):
        command += ["--ro-bind", folder, folder]
    for device in ("/dev/null", "/dev/urandom"):
        command += ["--dev-bind", device, device]
    return [*command, "--remount-ro", "/", "--chdir", "/sandbox", "--"]


def _works(isolation: Isolation, setup: Mapping[str, Any]) -> bool:
    """Return whether a program runs under an isolation."""
    if isolation == "bubblewrap" and shutil.which("bwrap") is None:
        return False
    with _started("program", dict(setup) | {"code": "print('works')"}) as process:
        return not process.wait(30) and process.output() == "works\n"
