import asyncio
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import networkx
import pytest

from tests.support.scripted import ScriptedModel, echo
from textgrad_rl_graphs.errors import MissingPackageError
from textgrad_rl_graphs.graph import Graph, join
from textgrad_rl_graphs.node import LLM, Function
from textgrad_rl_graphs.value import Value


class Diamond(Graph):
    def __init__(self) -> None:
        model = ScriptedModel(echo)
        self.plan = LLM(model, template="{question}")
        self.left = LLM(model, template="left {plan}")
        self.right = LLM(model, template="right {plan} {question}")
        self.tool = Function(str.upper, effects="none")

    async def forward(self, question: Value) -> Value:
        plan = await self.plan(question=question)
        left, right = await asyncio.gather(self.left(plan=plan), self.right(plan=plan, question=question))
        return await self.tool(join(left, right))


def test_a_run_is_a_directed_acyclic_graph_with_an_edge_per_read() -> None:
    trace = Diamond().run({"question": "q"})
    graph = trace.to_networkx()
    assert networkx.is_directed_acyclic_graph(graph)
    names = {key: data["path"] for key, data in graph.nodes(data=True)}
    assert {(names[source], names[target], data["name"]) for source, target, data in graph.edges(data=True)} == {
        ("question", "plan", "question"),
        ("plan", "left", "plan"),
        ("plan", "right", "plan"),
        ("question", "right", "question"),
        ("left", "join", "arg0"),
        ("right", "join", "arg1"),
        ("join", "tool", "arg0"),
    }
    assert {data["path"]: data["kind"] for _, data in graph.nodes(data=True)} == {
        "question": "input", "plan": "LLM", "left": "LLM", "right": "LLM", "join": "Function", "tool": "Function",
    }  # fmt: skip
    for key, call in trace.calls.items():
        assert call.output is not None
        assert graph.nodes[key]["text"] == call.output.text


@pytest.mark.parametrize("text", ["$\\nothing{$", "\\$5 & <b>\nsecond line", ""])
def test_it_is_drawn_as_svg_and_png_whatever_the_texts_hold(tmp_path: Path, text: str) -> None:
    trace = Diamond().run({"question": text})
    svg, png = tmp_path / "trace.svg", tmp_path / "trace.png"
    trace.draw(str(svg))
    trace.draw(str(png))
    assert ElementTree.parse(svg).getroot().tag.endswith("svg")
    assert png.read_bytes().startswith(b"\x89PNG")


def test_a_failed_run_and_an_empty_one_can_be_drawn(tmp_path: Path) -> None:
    class Fails(Graph):
        def __init__(self) -> None:
            self.tool = Function(lambda question: 1 // 0)

        async def forward(self, question: Value) -> Value:
            return await self.tool(question)

    class Same(Graph):
        async def forward(self, question: Value) -> Value:
            return question

    for number, graph in enumerate((Fails(), Same())):
        trace = graph.run({"question": "q"})
        assert len(trace.to_networkx()) == 2 - number
        trace.draw(str(tmp_path / f"{number}.svg"))
        assert (tmp_path / f"{number}.svg").stat().st_size > 0


def test_without_matplotlib_the_error_names_the_pip_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingPackageError, match="pip install matplotlib"):
        Diamond().run({"question": "q"}).draw(str(tmp_path / "a.svg"))
    assert not (tmp_path / "a.svg").exists()
