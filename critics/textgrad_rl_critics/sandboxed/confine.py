"""What a process takes from itself before it runs code of unknown origin; none of it can be taken back.

The order matters: the filter of system calls comes last, as it refuses what the others need.
"""

from __future__ import annotations

import marshal
import os
import resource
import struct
import sys
from collections.abc import Mapping

from .landlock import hide_files
from .libc import call
from .seccomp import filter_calls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 4, 38
_CAPABILITIES_VERSION = 0x20080522


def enter() -> dict[str, Any]:
    """Read the settings from the file descriptor of the second argument, confine this process, and say so.

    Emptying the file of the settings says it: what ends before is the machine's fault, what ends after is the code's.

    Raises:
        OSError: where the system refuses.
    """
    with os.fdopen(int(sys.argv[2]), "r+b") as file:
        setup: dict[str, Any] = marshal.load(file)
        confine(setup["isolation"], setup["limits"], setup["readable"])
        file.truncate(0)
    return setup


def confine(isolation: str, limits: Mapping[str, int], readable: list[str]) -> None:
    """Put on the limits, and what else belongs to the isolation.

    Args:
        isolation: see :mod:`textgrad_rl_critics.isolation`.
        limits: by the names of ``resource``, e.g. ``{"RLIMIT_AS": bytes}``.
        readable: the files and folders that stay with Landlock.

    Raises:
        OSError: where the system refuses.
    """
    for name, most in limits.items():
        kind = getattr(resource, name)
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        # The soft limit of the processor time gives a signal that says so, the hard one kills.
        resource.setrlimit(kind, (most, most + (name == "RLIMIT_CPU" and hard == resource.RLIM_INFINITY)))
    if isolation == "limits":
        return
    call("prctl", _PR_SET_DUMPABLE, 0, 0, 0, 0)  # no other process reads the memory of this one
    call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if isolation == "landlock":
        hide_files(readable=readable, writable=[os.devnull])
    call("capset", struct.pack("Ii", _CAPABILITIES_VERSION, 0), bytes(24))  # root can then do what others can
    filter_calls()
