"""One process at a time: a lock on a file that the operating system takes back when its holder dies.

Left out: Windows, which has no ``fcntl``; there nothing is locked.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from textgrad_rl_graphs.errors import RecordsError
from textgrad_rl_graphs.journal import cannot_write


@contextmanager
def exclusive(path: Path, what: str) -> Iterator[None]:
    """Hold the lock of a file, which is made if it is not there.

    Args:
        path: the file; its content stays as it is.
        what: named in the error, e.g. the run directory that the file stands for.

    Raises:
        RecordsError: when it is held already, in this process or another one, or cannot be written.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    except OSError as error:
        raise RecordsError(cannot_write(path, error)) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RecordsError(
                f"{what} is being written already, by another process or by an earlier call that has not ended. Wait "
                "for it, stop it, or choose another place"
            ) from error
        yield
