"""The examples with Function nodes: the critique travels to the prompt, and the sandbox holds."""

import asyncio
import importlib
import re
import runpy
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import textgrad_rl as tgr
from tests.support.openai_server import Messages, serve
from textgrad_rl.critics import Sandbox

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(autouse=True)
def _as_a_script(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of a script is where its imports are looked for."""
    monkeypatch.syspath_prepend(EXAMPLES)


def run(script: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    monkeypatch.setattr(sys, "argv", [script, *arguments])
    runpy.run_path(str(EXAMPLES / script), run_name="__main__")
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("script", "solver", "travelled", "learned"),
    [
        ("symbolic_solver.py", "write", "contradicts coat = hat + 20", "x * (1 + p/100)"),
        ("graph_search.py", "choose", "line 30 of drive: minutes = networkx.path_weight", "Compare whole routes"),
        ("unit_tests.py", "write", "IndexError: list index out of range (line 4 of the code)", "Think of empty lists."),
        ("retrieval.py", "query", "Search for the longest words", "Search for the longest words"),
    ],
)
def test_the_critique_reaches_the_prompt_and_helps(
    script: str, solver: str, travelled: str, learned: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    said = run(script, monkeypatch, capsys)
    stations = re.split(r"\n\n(?=\w+: |reached )", said)
    (at_solver,) = (station for station in stations if station.startswith(f"{solver}: "))
    assert re.sub(r"line \d+", "line", travelled) in re.sub(r"line \d+", "line", at_solver.partition("critique: ")[2])
    new = next(line for line in said.splitlines() if line.startswith("new "))
    assert learned in new
    before, after, of = map(int, re.findall(r"(\d+) and (\d+) of (\d+)", said)[0])
    assert before < after <= of


def test_the_critique_names_each_test_that_failed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = run("unit_tests.py", monkeypatch, capsys)
    assert "2 of 3 tests failed\nassert median([]) is None: IndexError" in said
    assert "\nassert median([1, 2, 3, 4]) == 2.5: AssertionError\n" in said
    assert "assert median([3, 1, 2]) == 2:" not in said


def test_a_model_by_name_takes_the_place_of_the_stand_in(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one_step, stand_ins = (importlib.import_module(f"support.{name}") for name in ("one_step", "stand_ins"))
    answer = one_step.played(stand_ins.choose_route, stand_ins.look_ahead)

    def reply(messages: Messages, body: dict[str, Any]) -> str:
        system = messages[0]["content"]
        role = "backward" if system.startswith("You improve a program") else "solve"
        role = "rewrite" if system.startswith("You improve a prompt") else role
        conversation = tuple(tgr.Message(message["role"], message["content"]) for message in messages)
        return str(answer(tgr.Request(messages=conversation, role=role)))  # type: ignore[arg-type]

    with serve(reply) as server:
        said = run("graph_search.py", monkeypatch, capsys, "--model", f"{server.url}#stub")
    assert "right before and after: 1 and 3 of 3" in said
    assert len(server.requests) == 3 + 2 + 1 + 3  # forward, backward of the wrong ones, one rewrite, forward again


@pytest.fixture(scope="module")
def tell() -> Callable[..., str]:
    """What the node of the tests says of code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXAMPLES)
        run_tests = runpy.run_path(str(EXAMPLES / "unit_tests.py"))["run_tests"]

    def tell(code: str, **settings: Any) -> str:
        try:
            return str(asyncio.run(run_tests(code, Sandbox(**settings))))
        except tgr.PolicyFaultError as fault:
            return str(fault)

    return tell


MEDIAN = "def median(numbers): return statistics.median(numbers) if numbers else None\n"


def test_right_code_passes(tell: Callable[..., str]) -> None:
    assert tell(f"import statistics\n{MEDIAN}").startswith("All tests passed.")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("while True: pass", "used up its processor time"),
        ("import time; time.sleep(60)", "stopped after 0.5 s"),
        ("'x' * 10**10", "MemoryError"),
        ("with open('file', 'w') as file: file.write('x')", "PermissionError|OSError"),
        (f"import os, statistics\nassert not {{'HOME', 'PATH', 'OPENAI_API_KEY'}} & set(os.environ)\n{MEDIAN}", "All"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("import os; os._exit(3)", "ended with code 3"),
        (f"def {MEDIAN}", "SyntaxError"),
    ],
)
def test_the_sandbox_holds(code: str, words: str, tell: Callable[..., str]) -> None:
    assert re.search(words, tell(code, seconds=0.5 if "sleep" in code else 60, cpu_seconds=1))


def test_the_sandbox_has_no_network(tell: Callable[..., str]) -> None:
    with serve(lambda messages, body: "") as server:
        port = int(re.findall(r":(\d+)/", server.url)[0])
        said = tell(f"import socket; socket.create_connection(('127.0.0.1', {port}))")
    assert re.search("Operation not permitted|Network is unreachable", said)
    assert server.connections == 0


def test_the_sandbox_runs_where_no_tool_is_installed(tell: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert "ZeroDivisionError" in tell("1 / 0")


@pytest.mark.parametrize("text", ["__import__('os').getcwd()", "x = 9**9**9", "x = y.z", "x = 'a'", "x + 1", "a = = b"])
def test_equations_are_read_and_nothing_else(text: str) -> None:
    with pytest.raises(tgr.PolicyFaultError, match="not an equation"):
        importlib.import_module("support.equations").read(text)
