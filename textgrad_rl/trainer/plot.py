"""Pictures of runs: held-out accuracy over steps or over generated tokens."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from textgrad_rl_graphs.errors import DataError

if TYPE_CHECKING:
    from textgrad_rl.trainer.report import Report


def plot_runs(runs: Mapping[str, Report], path: str | Path, *, against: Literal["steps", "tokens"] = "steps") -> None:
    """Draw one line per run with its 95 % band.

    Args:
        runs: reports by the name shown in the legend.
        path: ``.png``, ``.svg`` or ``.pdf``.
        against: what stands on the horizontal axis: steps, or generated tokens.

    Raises:
        DataError: when no run was evaluated.
    """
    from matplotlib.figure import Figure

    if not any(run.evaluations for run in runs.values()):
        raise DataError("there is nothing to draw: no run was evaluated")
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for name, run in runs.items():
        points = run.evaluations
        tokens = {item.step: item.usage.generated_tokens for item in run.history}
        across = [step if against == "steps" else tokens[step] for step, _ in points]
        (line,) = axes.plot(across, [100 * item.mean for _, item in points], marker="o", markersize=3, label=name)
        axes.fill_between(
            across, [100 * item.low for _, item in points], [100 * item.high for _, item in points],
            color=line.get_color(), alpha=0.15, linewidth=0,
        )  # fmt: skip
    axes.set_xlabel("training step" if against == "steps" else "generated tokens")
    axes.set_ylabel("held-out accuracy, %")
    axes.set_ylim(0, 102)
    axes.grid(alpha=0.3)
    if any(runs):
        axes.legend()
    figure.savefig(path, dpi=150)
