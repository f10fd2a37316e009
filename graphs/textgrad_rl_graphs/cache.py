"""One cache for all processes: what was answered once is not asked again.

``with textgrad_rl.cached(path):`` around calls by hand, or around ``trainer.fit``. An answer is found by what was
asked: model, weights, messages, sampling, seed. SQLite in its write-ahead mode keeps them, so that processes may write
at once; the first answer to a question stays.

Left out: eviction (delete the folder), and folders on network file systems, which SQLite's write-ahead mode cannot do.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

from textgrad_rl_graphs.context import surrounded
from textgrad_rl_graphs.errors import RecordsError
from textgrad_rl_graphs.journal import cannot_write, json_text

_FILE = "answers.sqlite"
_WAIT_S = 60.0
"""How long a writer waits for another process to finish writing."""


@final
class AnswerCache:
    """Answers in an SQLite file.

    Args:
        path: the file; made with its folder.
        recompute: names of models that are left out.

    Attributes:
        hits, misses: answers found and not found since the cache was opened here.

    Raises:
        RecordsError: for a file that cannot be opened or is no cache.
    """

    def __init__(self, path: Path, *, recompute: Collection[str] = ()) -> None:
        """Open the file."""
        self.path = path
        self.recompute = frozenset(recompute)
        self.hits = 0
        self.misses = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Calls may come from several threads, one event loop each; SQLite takes them one after the other.
            self._database = sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None, check_same_thread=False)
        except OSError as error:
            raise RecordsError(cannot_write(path, error)) from error
        except sqlite3.Error as error:
            raise RecordsError(f"cannot open the cache {path}: {error}") from error
        try:
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=NORMAL")
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, entry TEXT) WITHOUT ROWID"
            )
        except sqlite3.Error as error:
            self._database.close()
            raise RecordsError(f"{path} cannot be used as a cache: {error}; choose another path") from error

    def __len__(self) -> int:
        """Return the number of answers."""
        return int(self._execute("SELECT count(*) FROM answers").fetchone()[0])

    def get(self, key: str) -> Mapping[str, Any] | None:
        """Return the entry stored under a key, or None."""
        row = self._execute("SELECT entry FROM answers WHERE key = ?", key).fetchone()
        if row is None:
            self.misses += 1
            return None
        self.hits += 1
        entry: Mapping[str, Any] = json.loads(row[0])
        return entry

    def put(self, key: str, entry: Mapping[str, Any]) -> None:
        """Store an entry, unless another process was first."""
        self._execute("INSERT OR IGNORE INTO answers VALUES (?, ?)", key, json_text(entry, separators=(",", ":")))

    def _execute(self, statement: str, *values: str) -> sqlite3.Cursor:
        try:
            return self._database.execute(statement, values)
        except sqlite3.Error as error:
            raise RecordsError(f"the cache {self.path} failed: {error}") from error

    def close(self) -> None:
        """Close the file."""
        self._database.close()


@contextmanager
def cached(path: str | Path, *, recompute: Collection[str] = ()) -> Iterator[AnswerCache]:
    """Answer calls made inside from a cache on disk, and keep new answers there.

    Cached answers cost nothing: usage and budgets count calls that leave. ``trace.usage`` still says what an answer
    took when it was made.

    Args:
        path: a folder, or a file if the name has an ending.
        recompute: names of models that are left out, e.g. local ones. The trainer leaves out deterministic policies by
            itself, and policies whose weights have moved unless the run is the same one.

    Raises:
        RecordsError: for a path that cannot be written or is no cache.

    >>> import tempfile, textgrad_rl as tgr
    >>> class Shout(tgr.Graph):
    ...     def __init__(self, model):
    ...         self.shout = tgr.LLM(model, template="{word}")
    ...     async def forward(self, word):
    ...         return await self.shout(word=word)
    >>> graph = Shout(tgr.FunctionModel(lambda request: request.messages[-1].content.upper()))
    >>> with tempfile.TemporaryDirectory() as folder, tgr.cached(folder) as cache:
    ...     outputs = [graph.run({"word": "no"}).output.text for _ in range(3)]
    ...     outputs, cache.hits
    (['NO', 'NO', 'NO'], 2)
    """
    chosen = Path(path)
    cache = AnswerCache(chosen if chosen.suffix and not chosen.is_dir() else chosen / _FILE, recompute=recompute)
    try:
        with surrounded(cache=cache):
            yield cache
    finally:
        cache.close()
