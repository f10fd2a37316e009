"""Refuse system calls to this process (seccomp, Linux on x86-64 and ARM64).

No other processes, no programs, no sockets, nothing done to other processes (signals, priorities, their memory), no
change of owners, modes and times of files. A call that is refused fails as one without permission does. Threads and
``socketpair`` are left. Source: https://www.kernel.org/doc/html/latest/userspace-api/seccomp_filter.html
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator

from .libc import call

_MACHINES = ("x86_64", "aarch64")
_AUDIT = (0xC000003E, 0xC00000B7)
_CALLS: dict[str, tuple[int | None, int | None]] = {
    "add_key": (248, 217), "bind": (49, 200), "bpf": (321, 280), "chmod": (90, None), "chown": (92, None),
    "connect": (42, 203), "execve": (59, 221), "execveat": (322, 281), "fchmod": (91, 52), "fchmodat": (268, 53),
    "fchmodat2": (452, 452), "fchown": (93, 55), "fchownat": (260, 54), "file_setattr": (469, 469), "fork": (57, None),
    "fremovexattr": (199, 16), "fsetxattr": (190, 7), "futimesat": (261, None), "io_uring_setup": (425, 425),
    "ioprio_set": (251, 30), "keyctl": (250, 219), "kill": (62, 129), "lchown": (94, None), "lremovexattr": (198, 15),
    "lsetxattr": (189, 6), "memfd_create": (319, 279), "mq_open": (240, 180), "msgget": (68, 186),
    "perf_event_open": (298, 241), "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424),
    "prlimit64": (302, 261), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "ptrace": (101, 117),
    "removexattr": (197, 14), "removexattrat": (466, 466), "request_key": (249, 218), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "sched_setaffinity": (203, 122), "sched_setattr": (314, 274),
    "sched_setparam": (142, 118), "sched_setscheduler": (144, 119), "semget": (64, 190), "setns": (308, 268),
    "setpriority": (141, 140), "setrlimit": (160, 164), "setxattr": (188, 5), "setxattrat": (463, 463),
    "shmget": (29, 194), "socket": (41, 198), "tgkill": (234, 131), "tkill": (200, 130), "truncate": (76, 45),
    "unshare": (272, 97), "userfaultfd": (323, 282), "utime": (132, None), "utimensat": (280, 88),
    "utimes": (235, None), "vfork": (58, None),
}  # fmt: skip
_CLONE, _CLONE3, _FCNTL, _IOCTL = (56, 220), 435, (72, 25), (16, 29)
# Both name who gets the signal that a file descriptor is ready, any process: F_SETOWN(_EX), and FIOSETOWN, SIOCSPGRP.
_OWNERS = ((_FCNTL, (8, 15)), (_IOCTL, (0x8901, 0x8902)))

_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST, _SECOND = 0, 4, 16, 24  # bytes into what the filter sees; arguments by their low half
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_EPERM, _ENOSYS, _CLONE_THREAD, _X32 = 1, 38, 0x00010000, 0x40000000


def filter_calls() -> None:
    """Put on the filter; it cannot be taken off again.

    Raises:
        OSError: where there is none, or with privileges to be gained (``PR_SET_NO_NEW_PRIVS`` comes first).
    """
    kernel = os.uname()
    if kernel.sysname != "Linux" or kernel.machine not in _MACHINES:
        raise OSError(f"no filter of system calls for {kernel.sysname} on {kernel.machine}")
    program = b"".join(_instructions(_MACHINES.index(kernel.machine)))
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    call("prctl", _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, header, 0, 0)


def _instructions(machine: int) -> Iterator[bytes]:
    """Build the filter: BPF instructions of a code, two jumps (if true, if false) and an operand."""

    def step(code: int, operand: int, true: int = 0, false: int = 0) -> bytes:
        return struct.pack("HBBI", code, true, false, operand)

    yield step(_LOAD, _ARCHITECTURE)
    yield step(_EQUAL, _AUDIT[machine], true=1)
    yield step(_RETURN, _KILL)
    yield step(_LOAD, _NUMBER)
    yield step(_AT_LEAST, _X32, false=1)
    yield step(_RETURN, _KILL)
    yield step(_EQUAL, _CLONE3, false=1)
    yield step(_RETURN, _ERRNO | _ENOSYS)  # its flags can't be seen; without it, libraries use clone
    for numbers in _CALLS.values():
        if (number := numbers[machine]) is not None:
            yield step(_EQUAL, number, false=1)
            yield step(_RETURN, _ERRNO | _EPERM)
    for numbers, commands in _OWNERS:
        yield step(_EQUAL, numbers[machine], false=len(commands) + 3)
        yield step(_LOAD, _SECOND)
        for place, command in enumerate(commands):
            yield step(_EQUAL, command, true=len(commands) - place)
        yield step(_RETURN, _ALLOW)
        yield step(_RETURN, _ERRNO | _EPERM)
    yield step(_EQUAL, _CLONE[machine], false=3)
    yield step(_LOAD, _FIRST)  # its flags
    yield step(_ANY_BIT, _CLONE_THREAD, true=1)
    yield step(_RETURN, _ERRNO | _EPERM)
    yield step(_RETURN, _ALLOW)
