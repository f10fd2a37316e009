"""Pictures of runs: held-out accuracy over steps or over generated tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from textgrad_rl_graphs.errors import DataError


class Point(NamedTuple):
    """One evaluation: where it stands on the horizontal axis, mean accuracy and the limits of its interval."""

    x: float
    mean: float
    low: float
    high: float


def plot_curves(curves: Mapping[str, Sequence[Point]], path: str | Path, *, xlabel: str = "training step") -> None:
    """Draw one line per curve with its 95 % band.

    Args:
        curves: by the name shown in the legend; a single curve named ``""`` has none.
        path: ``.png``, ``.svg`` or ``.pdf``.
        xlabel: what stands on the horizontal axis.

    Raises:
        DataError: when there is no point.
    """
    from matplotlib.figure import Figure

    if not any(curves.values()):
        raise DataError("there is nothing to draw: no run was evaluated")
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for name, points in curves.items():
        across = [point.x for point in points]
        (line,) = axes.plot(across, [100 * point.mean for point in points], marker="o", markersize=3, label=name)
        lows, highs = [100 * point.low for point in points], [100 * point.high for point in points]
        axes.fill_between(across, lows, highs, color=line.get_color(), alpha=0.15, linewidth=0)
    axes.set_xlabel(xlabel)
    axes.set_ylabel("held-out accuracy, %")
    axes.set_ylim(0, 102)
    axes.grid(alpha=0.3)
    if any(curves):
        axes.legend()
    figure.savefig(path, dpi=150)
