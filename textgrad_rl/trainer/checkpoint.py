"""What a checkpoint holds: parameters, the memories of the optimizers, what was spent, and what was warned of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from pathlib import Path

from textgrad_rl.text.textual_gradient_descent import TextualGradientDescent
from textgrad_rl_graphs.graph import Graph
from textgrad_rl_graphs.records import dump_json
from textgrad_rl_graphs.types import Usage


def save(
    folder: Path,
    graph: Graph,
    text: Mapping[str, TextualGradientDescent],
    usage: Mapping[str, Usage],
    problems: Sequence[str],
) -> None:
    """Write the state of a run.

    Args:
        folder: an empty one.
        graph: its prompts and policies.
        text: the optimizer of every prompt.
        usage: by phase.
        problems: warnings so far.
    """
    graph.save(folder / "parameters")
    state = {
        "text": {path: optimizer.state() for path, optimizer in text.items()},
        "usage": {phase: astuple(item) for phase, item in usage.items()},
        "problems": problems,
    }
    (folder / "state.json").write_text(dump_json(state), "utf-8")


def load(folder: Path, graph: Graph, text: Mapping[str, TextualGradientDescent]) -> tuple[dict[str, Usage], list[str]]:
    """Restore what :func:`save` wrote; returns usage by phase and the warnings."""
    graph.load_state(folder / "parameters")
    state = json.loads((folder / "state.json").read_text("utf-8"))
    for path, optimizer in text.items():
        optimizer.load_state(state["text"][path])
    return {phase: Usage(*numbers) for phase, numbers in state["usage"].items()}, state["problems"]
