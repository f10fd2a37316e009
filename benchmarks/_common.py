"""What the benchmarks share: a row, the table on the screen, the JSON on disk."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def row(
    case: str,
    unit: str,
    ours: float | None,
    *,
    peer: float | None = None,
    peer_name: str = "",
    target: float | None = None,
    higher_is_better: bool = False,
) -> Row:
    """Return one line of a benchmark.

    Args:
        case: what was done.
        unit: of every number in the line, e.g. ``"us/node"``.
        ours: what this library took, None where it could not run.
        peer: what the peer took, measured in the same run; None where it could not run.
        peer_name: who, with the version; says why where ``peer`` is None.
        target: what ``ours`` has to reach.
        higher_is_better: for rates.

    Returns:
        With ``ratio`` (above 1 where ours is better) and ``met``; None where there is nothing to compare.

    >>> row("forward", "us/node", 5.0, peer=15.0, peer_name="textgrad 0.1.8", target=15.0)["ratio"]
    3.0
    """
    ratio = met = None
    if ours and peer:
        ratio = ours / peer if higher_is_better else peer / ours
    if ours is not None and target is not None:
        met = ours >= target if higher_is_better else ours <= target
    return {
        "case": case, "unit": unit, "ours": ours, "peer": peer, "peer_name": peer_name,
        "ratio": ratio, "target": target, "met": met,
    }  # fmt: skip


def report(name: str, rows: Sequence[Row], json_path: str | Path | None = None, **versions: str) -> Mapping[str, Any]:
    """Print the rows as a table, write them as JSON where a path is given, and return what was written.

    Args:
        name: of the benchmark.
        rows: from :func:`row`.
        json_path: where to, or None.
        versions: of the peers, by name; Python's and ours are added.
    """
    from rich.console import Console
    from rich.table import Table

    result = {
        "name": name,
        "machine": {"system": platform.platform(), "cores": os.cpu_count(), "load": os.getloadavg()[0]},
        "versions": {
            "python": platform.python_version(), "textgrad-rl": importlib.metadata.version("textgrad-rl"), **versions
        },
        "rows": list(rows),
    }  # fmt: skip
    table = Table("case", "unit", "ours", "peer", "peer_name", "ratio", "target", "met", title=name)
    for item in rows:
        table.add_row(*(_shown(item[str(column.header)]) for column in table.columns))
    Console(width=None if os.isatty(1) else 160).print(table)
    if json_path is not None:
        Path(json_path).write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    return result


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "NO"
    return "" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)
