"""The picture of a comparison of critics: verdict accuracy and AUROC against what a sample costs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from textgrad_rl.critic_eval.evaluate import CriticEvaluation
from textgrad_rl_graphs.errors import DataError

_MARKERS = "os^Dvph<>X"


def plot_critics(evaluations: Mapping[str, CriticEvaluation], path: str | Path) -> None:
    """Draw each critic as a point: accuracy with its 95 % interval, and AUROC, over tokens per sample.

    Args:
        evaluations: by the name shown in the legend.
        path: ``.png``, ``.svg`` or ``.pdf``.

    Raises:
        DataError: when there is nothing to draw.
    """
    from matplotlib.figure import Figure

    if not evaluations:
        raise DataError("there is nothing to draw: no critic was evaluated")
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    accuracy_axes, auroc_axes = figure.subplots(1, 2, sharex=True)
    for number, (name, result) in enumerate(evaluations.items()):
        # Hollow and ever smaller, so that critics in the same place stay visible.
        style: dict[str, Any] = {
            "marker": _MARKERS[number % len(_MARKERS)],
            "color": f"C{number % 10}",
            "linestyle": "none",
        }
        style |= {"markerfacecolor": "none", "markersize": max(4, 14 - 3 * number), "label": name}
        tokens = result.tokens_per_sample
        if (found := result.accuracy) is not None:
            accuracy_axes.plot([tokens], [100 * found.mean], **style)
            accuracy_axes.vlines(tokens, 100 * found.low, 100 * found.high, color=style["color"], linewidth=1)
        if result.auroc is not None:
            auroc_axes.plot([tokens], [result.auroc], **style)
    accuracy_axes.set_ylabel("right verdicts, %")
    accuracy_axes.set_ylim(0, 104)
    auroc_axes.set_ylabel("AUROC of the score")
    auroc_axes.set_ylim(0, 1.04)
    auroc_axes.axhline(0.5, color="grey", linewidth=0.8, linestyle="dashed")
    most = max(result.tokens_per_sample for result in evaluations.values())
    for axes in (accuracy_axes, auroc_axes):
        axes.set_xscale("symlog", linthresh=1)  # logarithmic above one token, with a place for 0
        axes.set_xlim(-0.5, max(10.0, 3 * most))
        axes.set_xlabel("tokens per sample, read and generated")
        axes.grid(alpha=0.3)
    shown: dict[str, Any] = {}  # a critic may have a point in one panel only
    for axes in (accuracy_axes, auroc_axes):
        handles, labels = axes.get_legend_handles_labels()
        shown |= zip(labels, handles, strict=True)
    figure.legend(list(shown.values()), list(shown), loc="outside upper center", ncols=4, frameon=False)
    figure.savefig(path, dpi=150)
