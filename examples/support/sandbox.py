"""Run Python code of unknown origin in a process with limits: time, memory, no files, no network.

The network is cut off where Linux allows that to users. This stops accidents, not attackers: the code can read what
this user can read. Left out: containers, other systems than Linux.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

_LIMITED = """import os, resource, sys
limits = {{resource.RLIMIT_CPU: {seconds}, resource.RLIMIT_AS: {megabytes} << 20, resource.RLIMIT_FSIZE: 0}}
for limit, most in limits.items():
    resource.setrlimit(limit, (most, most))
os.execv(sys.executable, [sys.executable, "-I", "code.py"])"""
"""Sets the limits, which stay with the process when it becomes the one that runs the code."""


def run(code: str, *, seconds: int = 2, megabytes: int = 512, grace_s: float = 3.0) -> str:
    """Run code in an empty folder and return what went wrong, in general its traceback; "" if nothing did.

    Args:
        code: a whole program.
        seconds: of processor time.
        megabytes: of address space.
        grace_s: seconds by the clock beyond those of the processor, e.g. to start and to wait for one.
    """
    command = [*without_network(), sys.executable, "-c", _LIMITED.format(seconds=seconds, megabytes=megabytes)]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "code.py").write_text(code, "utf-8")
        try:
            done = subprocess.run(
                command, cwd=folder, env={}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                timeout=seconds + grace_s, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return f"no end after {seconds + grace_s} s\n"
    if done.returncode < 0:
        return f"stopped by signal {-done.returncode}: more than {seconds} s, or another limit\n"
    return done.stderr.replace(f"{folder}/", "") or "ended with an error\n" * bool(done.returncode)


def without_network() -> list[str]:
    """Return what to put before a command to cut it off; nothing where users may not do that."""
    command = ["unshare", "--user", "--map-root-user", "--net"]
    allowed = (
        shutil.which("unshare") and not subprocess.run([*command, "true"], capture_output=True, check=False).returncode
    )
    return command if allowed else []
