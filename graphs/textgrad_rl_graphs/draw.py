"""A run as a networkx graph, and as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textgrad_rl_graphs.errors import MissingPackageError
from textgrad_rl_graphs.trace import Trace

if TYPE_CHECKING:
    import networkx


def trace_to_networkx(trace: Trace) -> networkx.DiGraph[Any]:
    """Return calls and inputs as nodes (``path``, ``text``, ``kind``), data flow as edges (``name``)."""
    import networkx

    graph: networkx.DiGraph[Any] = networkx.DiGraph()
    for name, value in trace.inputs.items():
        graph.add_node(f"input:{name}", path=name, text=value.text, kind="input")
    inputs = {value.key: f"input:{name}" for name, value in trace.inputs.items()}
    for call in trace.ordered():
        text = "" if call.output is None else call.output.text
        graph.add_node(call.key, path=call.path, text=text, kind=type(call.node).__name__)
        for name, value in call.inputs.items():
            source = value.call.key if value.call is not None else inputs.get(value.key)
            if source is not None:
                graph.add_edge(source, call.key, name=name)
    return graph


def draw_trace(trace: Trace, path: str) -> None:
    """Draw the run from left to right; the file's ending picks the format.

    Raises:
        MissingPackageError: without matplotlib.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingPackageError("matplotlib", "drawing a trace") from error
    import networkx

    graph = trace_to_networkx(trace)
    for layer, generation in enumerate(networkx.topological_generations(graph)):
        for node in generation:
            graph.nodes[node]["layer"] = layer
    layers = 1 + max((data["layer"] for _, data in graph.nodes(data=True)), default=0)
    positions = networkx.multipartite_layout(graph, subset_key="layer") if graph else {}
    figure = Figure(figsize=(2.4 * layers + 0.6, 0.9 * max(2.0, len(graph) / layers) + 1.2))
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.margins(0.2)
    for source, target in graph.edges():
        axes.annotate(
            "", xy=positions[target], xytext=positions[source],
            arrowprops={"arrowstyle": "-|>", "color": "0.45", "shrinkA": 26, "shrinkB": 26},
        )  # fmt: skip
    colors = {"input": "#f2f2f2", "LLM": "#dbe9f6", "Function": "#fdebd0"}
    for node, data in graph.nodes(data=True):
        text = " ".join(data["text"].split())
        shown = text if len(text) <= 24 else f"{text[:21]}..."
        # A dollar sign would start a formula in matplotlib.
        label = f"{data['path']}\n{shown}".replace("$", r"\$")
        box = {"boxstyle": "round", "facecolor": colors[data["kind"]], "edgecolor": "0.6"}
        x, y = positions[node]
        axes.text(x, y, label, ha="center", va="center", fontsize=8, bbox=box)
    figure.savefig(path, bbox_inches="tight", dpi=150)
