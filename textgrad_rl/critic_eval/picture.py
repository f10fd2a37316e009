"""The picture of a comparison of critics: how often they are right against what a sample costs.

Left out: colours. A name stands at every point, and a filled point is on the front, on grey paper too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from textgrad_rl.critic_eval.evaluate import CriticEvaluation
from textgrad_rl.critic_eval.labels import place_labels
from textgrad_rl.critic_eval.measures import Share, pareto_front
from textgrad_rl_graphs.errors import DataError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FRONT, _BEHIND = "black", "0.45"
_CHANCE = 0.5
_NOISE = 1.5  # processor times that were measured twice on a busy machine differ by as much


class _Quality(NamedTuple):
    label: str
    of: Callable[[CriticEvaluation], Share | None]


class _Cost(NamedTuple):
    label: str
    free: str  # what critics of no such cost have in common
    of: Callable[[CriticEvaluation], float]


def _area(item: CriticEvaluation) -> Share | None:
    return None if item.auroc is None else Share(item.auroc, item.auroc, item.auroc, item.n)


_QUALITIES = (_Quality("right verdicts", lambda item: item.accuracy), _Quality("AUROC of the score", _area))
_PROCESSOR = _Cost("processor seconds per sample", "no time measured", lambda item: item.cpu_seconds_per_sample)
_DOLLARS = _Cost("US dollars per sample", "nothing paid", lambda item: item.usage.usd / item.n)
_TOKENS = _Cost("tokens per sample, read and generated", "no model asked", lambda item: item.tokens_per_sample)


_Line = tuple[tuple[float, float], tuple[float, float]]


class _Point(NamedTuple):
    name: str
    cost: float
    value: Share
    on_front: bool


def plot_critics(evaluations: Mapping[str, CriticEvaluation], path: str | Path) -> None:
    """Draw right verdicts and AUROC over processor time, and over dollars, or tokens, where models are asked.

    Critics on the Pareto front are filled, and a line joins them: none is better for no more, nor as good for less.

    Args:
        evaluations: by name.
        path: ``.png``, ``.svg`` or ``.pdf``.

    Raises:
        DataError: when there is nothing to draw.
    """
    from matplotlib.figure import Figure

    results = evaluations.values()
    qualities = [quality for quality in _QUALITIES if any(map(quality.of, results))]
    if not qualities:
        raise DataError("there is nothing to draw: no critic gave verdicts, or scores to right and to wrong responses")
    costs = [_PROCESSOR, *[cost for cost in (_DOLLARS, _TOKENS) if any(map(cost.of, results))][:1]]
    figure = Figure(figsize=(1 + 4.5 * len(costs), 0.8 + 3.2 * len(qualities)), layout="constrained")
    panels = figure.subplots(len(qualities), len(costs), squeeze=False, sharex="col", sharey="row")
    drawn = []
    for row, quality in zip(panels, qualities, strict=True):
        row[0].set_ylabel(f"{quality.label}\n(chance: {_CHANCE})")
        for axes, cost in zip(row, costs, strict=True):
            points = _points(evaluations, quality, cost)
            _fit(axes, points, [cost.of(item) for item in results])
            _draw(axes, points)
            drawn.append((axes, points, cost))
    for axes, cost in zip(panels[-1], costs, strict=True):
        axes.set_xlabel(cost.label)
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False, fontsize=9)
    figure.draw_without_rendering()  # sizes are final
    for axes, points, cost in drawn:
        _name(axes, points, cost.free)
    figure.savefig(path, dpi=150)


def _points(evaluations: Mapping[str, CriticEvaluation], quality: _Quality, cost: _Cost) -> list[_Point]:
    found = [(name, cost.of(item), value) for name, item in evaluations.items() if (value := quality.of(item))]
    front = pareto_front([price for _, price, _ in found], [value.mean for _, _, value in found], noise=_NOISE)
    return [_Point(*point, on_front) for point, on_front in zip(found, front, strict=True)]


def _fit(axes: Axes, points: list[_Point], costs: list[float]) -> None:
    """Fit the limits to the data, with chance among them where it is near, and room for names."""
    low, high = min(point.value.low for point in points), max(point.value.high for point in points)
    low = min(low, _CHANCE) if low < _CHANCE + 0.1 else low
    margin = max(0.02, 0.12 * (high - low))
    axes.set_ylim(low - margin, high + margin)
    axes.set_yticks([tick for tick in axes.get_yticks() if low - margin <= tick <= min(1.0, high + margin)])
    paid = [cost for cost in costs if cost > 0] or [1.0]
    factor = max(2.0, (max(paid) / min(paid)) ** 0.25)
    axes.set_xscale("log")
    axes.set_xlim(min(paid) / factor, max(paid) * factor)
    axes.grid(color="0.92")
    axes.set_axisbelow(True)


def _draw(axes: Axes, points: list[_Point]) -> None:
    for on_front, label in (
        (True, "on the front"),
        (False, "behind it: another is better for no more, or as good for less"),
    ):
        chosen = [point for point in points if point.on_front is on_front and point.cost > 0]
        color, fill = (_FRONT, _FRONT) if on_front else (_BEHIND, "white")
        costs, values = [point.cost for point in chosen], [point.value for point in chosen]
        axes.vlines(
            costs, [value.low for value in values], [value.high for value in values], color=color, linewidth=0.8
        )
        axes.plot(costs, [value.mean for value in values], "o", color=color, markerfacecolor=fill, label=label)
    for line in _front_lines(axes, points):
        axes.plot(*zip(*line, strict=True), color="0.6", linewidth=1, zorder=1)
    axes.axhline(_CHANCE, color=_BEHIND, linewidth=0.8, linestyle="dashed")


def _front_lines(axes: Axes, points: list[_Point]) -> list[_Line]:
    """Return the best value for at most a cost as lines, from the left end where something is free."""
    left, right = axes.get_xlim()
    corners = sorted((max(point.cost, left), point.value.mean) for point in points if point.on_front)
    ends = [*(cost for cost, _ in corners[1:]), right]
    flat = [((cost, value), (end, value)) for (cost, value), end in zip(corners, ends, strict=True)]
    steep = [(before[1], after[0]) for before, after in pairwise(flat)]
    return flat + steep


def _name(axes: Axes, points: list[_Point], free: str) -> None:
    """Write the names of critics, and one for all that cost nothing: the best of them begins the front."""
    names = {point.name: (point.cost, point.value.mean) for point in points if point.cost > 0}
    unpaid = [point.value.mean for point in points if not point.cost]
    if unpaid:
        names[f"{free}: {max(unpaid):.2f}" + " at best" * (len(unpaid) > 1)] = (axes.get_xlim()[0], max(unpaid))
    intervals = [((point.cost, point.value.low), (point.cost, point.value.high)) for point in points if point.cost > 0]
    place_labels(axes, list(names.values()), list(names), lines=[*intervals, *_front_lines(axes, points)])
