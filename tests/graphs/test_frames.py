"""What an exception says to a critic: the user's own frames, and where a package raised it."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from textgrad_rl_graphs.frames import own_frames
from textgrad_rl_graphs.graph import Graph
from textgrad_rl_graphs.node import Function
from textgrad_rl_graphs.value import Value


def described(function: object) -> list[str]:
    class One(Graph):
        def __init__(self) -> None:
            self.tool = Function(function)  # type: ignore[arg-type]

        async def forward(self, text: Value) -> Value:
            return await self.tool(text)

    failure = One().run({"text": "{"}).failure
    assert failure is not None
    assert failure.kind == "policy"
    return failure.reason.splitlines()


def test_the_standard_library_is_one_line_after_the_users_own() -> None:
    def inner(text: str) -> object:
        return json.loads(text)

    def tool(text: str) -> object:
        return inner(text)

    first, *frames = described(tool)
    assert first.startswith("it raised JSONDecodeError: Expecting property name")
    assert [frame.split(":")[0].split(" of ")[-1].strip() for frame in frames[:2]] == ["tool", "inner"]
    assert frames[2].startswith("  raw_decode in decoder.py: ")
    assert len(frames) == 3


def module(path: Path, source: str) -> ModuleType:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def test_a_package_function_as_the_node_shows_where_it_broke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = module(
        tmp_path / "site" / "solver.py", "def solve(text):\n    return deep(text)\ndef deep(t):\n    1 / 0\n"
    )
    monkeypatch.setattr("site.getsitepackages", lambda: [str(tmp_path / "site")])
    assert described(package.solve) == ["it raised ZeroDivisionError: division by zero", "  deep in solver.py: 1 / 0"]


def test_only_the_last_of_many_frames_are_shown() -> None:
    def deep(depth: int) -> int:
        return 1 // depth + deep(depth - 1)

    with pytest.raises(ZeroDivisionError) as caught:
        deep(50)
    assert len(own_frames(caught.value).splitlines()) == 1 + 5


def test_code_without_a_file_is_the_users_too() -> None:
    first, frame = described(eval("lambda text: text.no"))
    assert "has no attribute 'no'" in first
    assert frame == "  line 1 of <lambda>"
