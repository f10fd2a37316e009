"""The limits a process puts on itself before it runs code of unknown origin; none can be taken off again.

Resource limits, and a filter of system calls (seccomp, Linux on x86-64 and ARM64): no other processes, no signals to
them, no sockets. A denied call fails as one without permission does. Threads and ``socketpair`` are left.
Source: https://www.kernel.org/doc/html/latest/userspace-api/seccomp_filter.html
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import struct
from collections.abc import Iterator, Mapping

_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

_DENIED = {
    "x86_64": {
        "add_key": 248, "bind": 49, "bpf": 321, "connect": 42, "execve": 59, "execveat": 322, "fork": 57,
        "io_uring_setup": 425, "keyctl": 250, "kill": 62, "memfd_create": 319, "msgget": 68, "perf_event_open": 298,
        "pidfd_getfd": 438, "pidfd_send_signal": 424, "prlimit64": 302, "process_vm_readv": 310,
        "process_vm_writev": 311, "ptrace": 101, "request_key": 249, "rt_sigqueueinfo": 129, "rt_tgsigqueueinfo": 297,
        "semget": 64, "setns": 308, "setrlimit": 160, "shmget": 29, "socket": 41, "tgkill": 234, "tkill": 200,
        "unshare": 272, "userfaultfd": 323, "vfork": 58,
    },
    "aarch64": {
        "add_key": 217, "bind": 200, "bpf": 280, "connect": 203, "execve": 221, "execveat": 281,
        "io_uring_setup": 425, "keyctl": 219, "kill": 129, "memfd_create": 279, "msgget": 186, "perf_event_open": 241,
        "pidfd_getfd": 438, "pidfd_send_signal": 424, "prlimit64": 261, "process_vm_readv": 270,
        "process_vm_writev": 271, "ptrace": 117, "request_key": 218, "rt_sigqueueinfo": 138, "rt_tgsigqueueinfo": 240,
        "semget": 190, "setns": 268, "setrlimit": 164, "shmget": 194, "socket": 198, "tgkill": 131, "tkill": 130,
        "unshare": 97, "userfaultfd": 282,
    },
}  # fmt: skip
_CLONE = {"x86_64": 56, "aarch64": 220}
_CLONE3 = 435

_PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _SECCOMP_MODE_FILTER = 4, 22, 38, 2
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_EPERM, _ENOSYS, _CLONE_THREAD, _X32 = 1, 38, 0x00010000, 0x40000000


def confine(limits: Mapping[str, int], *, filtered: bool) -> None:
    """Put on the limits.

    Args:
        limits: by the names of ``resource``, e.g. ``{"RLIMIT_AS": bytes}``.
        filtered: whether to filter system calls.

    Raises:
        OSError: where the system refuses.
    """
    for name, most in limits.items():
        kind = getattr(resource, name)
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        # The soft limit of the processor time gives a signal that says so, the hard one kills.
        resource.setrlimit(kind, (most, most + (name == "RLIMIT_CPU" and hard == resource.RLIM_INFINITY)))
    if filtered:
        _filter()


def _filter() -> None:
    machine = platform.machine()
    if machine not in _ARCHITECTURE or not hasattr(os, "uname") or os.uname().sysname != "Linux":
        raise OSError(f"no filter of system calls for {platform.system()} on {machine}")
    program = b"".join(_instructions(machine))
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    _prctl(_PR_SET_DUMPABLE, 0)  # no other process reads the memory of this one
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.create_string_buffer(header, len(header)))


def _instructions(machine: str) -> Iterator[bytes]:
    """Build the filter: BPF instructions of a code, two jumps (if true, if false) and an operand."""

    def step(code: int, operand: int, true: int = 0, false: int = 0) -> bytes:
        return struct.pack("HBBI", code, true, false, operand)

    yield step(_LOAD, 4)  # the architecture
    yield step(_EQUAL, _ARCHITECTURE[machine], true=1)
    yield step(_RETURN, _KILL)
    yield step(_LOAD, 0)  # the number of the call
    yield step(_AT_LEAST, _X32, false=1)
    yield step(_RETURN, _KILL)
    yield step(_EQUAL, _CLONE3, false=1)
    yield step(_RETURN, _ERRNO | _ENOSYS)  # its flags can't be seen; without it, libraries use clone
    for number in sorted(_DENIED[machine].values()):
        yield step(_EQUAL, number, false=1)
        yield step(_RETURN, _ERRNO | _EPERM)
    yield step(_EQUAL, _CLONE[machine], false=3)
    yield step(_LOAD, 16)  # its flags
    yield step(_ANY_BIT, _CLONE_THREAD, true=1)
    yield step(_RETURN, _ERRNO | _EPERM)
    yield step(_RETURN, _ALLOW)


def _prctl(option: int, value: int, pointer: ctypes.Array[ctypes.c_char] | None = None) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    third = ctypes.c_void_p(ctypes.addressof(pointer)) if pointer is not None else ctypes.c_void_p(0)
    if libc.prctl(option, ctypes.c_ulong(value), third, ctypes.c_ulong(0), ctypes.c_ulong(0)) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}) failed")
