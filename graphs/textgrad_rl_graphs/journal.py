"""The journal: every paid answer, on its way to the disk as it returns.

One JSON object per line, ``{"key": ..., "entry": ...}``. A line that a kill cut short is dropped on the next start:
its answer was never used.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from io import FileIO
from pathlib import Path
from typing import Any, final

from textgrad_rl_graphs.errors import RecordsError


@final
class FileJournal:
    """A journal in one file, held in memory for look-ups.

    Args:
        path: created with its folder when the first entry is put.

    Raises:
        RecordsError: when a line other than the last cannot be read.
    """

    def __init__(self, path: str | Path) -> None:
        """Read what is there."""
        self.path = Path(path)
        self._entries, length = _read(self.path)
        if self.path.exists() and length < self.path.stat().st_size:
            os.truncate(self.path, length)
        self._length = length
        self._file: FileIO | None = None

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._entries)

    def entries(self) -> Collection[Mapping[str, Any]]:
        """Return every entry, in the order of their first appearance."""
        return self._entries.values()

    def get(self, key: str) -> Mapping[str, Any] | None:
        """Return the entry stored under a key, or None."""
        return self._entries.get(key)

    def put(self, key: str, entry: Mapping[str, Any]) -> None:
        """Append an entry; it survives the death of this process from here on.

        Raises:
            RecordsError: when it cannot be written (a full disk).
        """
        line = f"{json_text({'key': key, 'entry': entry}, separators=(',', ':'))}\n".encode()
        try:
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = FileIO(self.path, "a")
            self._write(self._file, line)
        except OSError as error:
            raise RecordsError(cannot_write(self.path, error)) from error
        self._entries[key] = entry

    def _write(self, file: FileIO, line: bytes) -> None:
        """Write a whole line or nothing: what follows half a line could not be read."""
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[file.write(rest) :]
        except OSError:
            file.truncate(self._length)
            raise
        self._length += len(line)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


def json_text(value: object, **options: Any) -> str:
    """Return JSON that UTF-8 can carry: readable letters, escapes where a model's answer holds half a character."""
    text = json.dumps(value, ensure_ascii=False, **options)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, **options)
    return text


def cannot_write(path: Path, error: OSError) -> str:
    """Return what to say when a record cannot be written."""
    return (
        f"cannot write {path}: {error.strerror or error}. What was committed and journaled before is intact: make room "
        "or fix the permissions, then start the same command again, and it goes on from there."
    )


def _read(path: Path) -> tuple[dict[str, Mapping[str, Any]], int]:
    """Return the entries and the number of bytes that hold them."""
    if not path.exists():
        return {}, 0
    entries: dict[str, Mapping[str, Any]] = {}
    length = 0
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines[:-1], start=1):  # what follows the last newline was cut short
        try:
            item = json.loads(line)
            entries[item["key"]] = item["entry"]
        except (ValueError, KeyError, TypeError) as error:
            raise RecordsError(f"{path}, line {number} is no journal entry: {error}; move the file away") from error
        length += len(line) + 1
    return entries, length
