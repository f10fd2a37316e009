"""Unit tests as a scorer: the share that a model's code passes, in a sandbox.

The code and its tests run in two processes, and only plain data crosses: no exit, printed mark, patched checker, object
that equals all or look at the tests makes wrong code pass. Left out: languages other than Python, packages, files.
"""

from __future__ import annotations

import ast
import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from textgrad_rl_critics.sandbox import Outcome, Report, Sandbox
from textgrad_rl_critics.scorers import Extract, Scorer, WaitingScorer
from textgrad_rl_critics.spans import without_reasoning
from textgrad_rl_graphs.errors import DataError, ParseError, PolicyFaultError
from textgrad_rl_graphs.types import Example

_FENCE = re.compile(r"^[ \t]*(```+|~~~+)[ \t]*(\w*)[^\n]*\n(.*?)^[ \t]*\1", re.MULTILINE | re.DOTALL)
_DENIED = ("MemoryError", "OSError", "PermissionError", "FileNotFoundError", "BlockingIOError")
"""What code is told when it asks for more than the sandbox gives."""


def unit_tests(sandbox: Sandbox | None = None, *, extract: Extract | None = None) -> Scorer:
    r"""Return a scorer that runs the tests of ``example.metadata["tests"]``: the share passed, 1 is all.

    The tests have one of three forms:

    * a list of statements, each a test: ``["assert f(1) == 2", ...]`` (MBPP);
    * source code: its asserts and calls on the top level are the tests, all else prepares them; where it defines
      ``check``, that is called with ``metadata["entry_point"]`` (HumanEval);
    * what a whole program reads and should write: ``[{"input": "2\n", "output": "4\n"}, ...]``, or the two lists
      ``{"inputs": [...], "outputs": [...]}`` (APPS). Space at the ends of lines is forgiven.

    Code that cannot be run, or is stopped, is a policy fault, with the reason as its critique.

    Args:
        sandbox: where the code runs; ``Sandbox()`` when None.
        extract: what of the response is the code; the last fenced block of Python, else all of it, when None.

    >>> example = Example({"question": "Write double(x)."}, metadata={"tests": ["assert double(2) == 4"]})
    >>> unit_tests()("```python\ndef double(x):\n    return 2 * x\n```", example)
    1.0
    """
    place, code_of = sandbox or Sandbox(), extract or last_code

    async def ascore(text: str, example: Example) -> float:
        tests = _tests_of(example)
        if tests.programs:
            outcomes = await asyncio.gather(*(place.arun(code_of(text), given) for given, _ in tests.programs))
            return _share_of_programs(outcomes, [wanted for _, wanted in tests.programs])
        report = await place.acheck(code_of(text), tests.steps, entry_point=example.metadata.get("entry_point"))
        return _share(report, sum(counts for _, counts in tests.steps))

    return WaitingScorer("unit_tests", ascore, _tests_of)


def last_code(text: str) -> str:
    r"""Return the last fenced block of Python, or without a language, else the whole text.

    >>> last_code("So:\n```python\nx = 1\n```\nDone."), last_code("x = 2")
    ('x = 1\n', 'x = 2')
    """
    text = without_reasoning(text)
    blocks = [match[3] for match in _FENCE.finditer(text) if match[2].lower() in ("", "py", "python", "python3")]
    return blocks[-1] if blocks else text


@final
@dataclass(frozen=True, slots=True)
class _Tests:
    """Statements, each with whether it is a test, or what programs read and should write."""

    steps: tuple[tuple[str, bool], ...] = ()
    programs: tuple[tuple[str, str], ...] = ()


def _tests_of(example: Example) -> _Tests:
    tests = example.metadata.get("tests")
    try:
        found = _read(tests, example.metadata.get("entry_point"))
    except (SyntaxError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"the tests of the example {example.key} cannot be read ({type(error).__name__}: {error}): give a list of "
            "assert statements, Python source, or a list of {'input': ..., 'output': ...}"
        ) from error
    if not found.steps and not found.programs:
        raise DataError(
            f"unit_tests needs tests, and the example {example.key} has none: build it as "
            "Example(inputs, metadata={'tests': ['assert f(1) == 2']})"
        )
    return found


def _read(tests: Any, entry_point: str | None) -> _Tests:
    if isinstance(tests, str):
        return _Tests(steps=_statements(tests, entry_point))
    if isinstance(tests, Mapping):
        return _Tests(programs=tuple(zip(tests["inputs"], tests["outputs"], strict=True)))
    items: Sequence[Any] = tests or []
    if all(isinstance(item, str) for item in items):
        for item in items:
            ast.parse(item)
        return _Tests(steps=tuple((item, True) for item in items))
    return _Tests(programs=tuple((str(item["input"]), str(item["output"])) for item in items))


def _statements(source: str, entry_point: str | None) -> tuple[tuple[str, bool], ...]:
    nodes = ast.parse(source).body
    steps = [(ast.unparse(node), isinstance(node, ast.Assert) or _is_call(node)) for node in nodes]
    if entry_point and any(isinstance(node, ast.FunctionDef) and node.name == "check" for node in nodes):
        steps.append((f"check({entry_point})", True))
    return tuple(steps) if any(counts for _, counts in steps) else ()


def _is_call(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)


def _share(report: Report, total: int) -> float:
    """Return the share of tests passed, or raise what stopped them."""
    if report.broken:
        raise ParseError(f"a unit test is broken: {report.broken}")
    passed = sum(report.passed)
    if report.stopped:
        raise PolicyFaultError(f"The code failed: {report.stopped}. {passed} of {total} tests had passed.")
    denied = [reason for reason in report.reasons if reason.startswith(_DENIED)]
    if denied:
        raise PolicyFaultError(f"The code failed: {denied[0]}. {passed} of {total} tests passed.")
    return passed / total


def _share_of_programs(outcomes: Sequence[Outcome], wanted: Sequence[str]) -> float:
    right = [
        not outcome.reason and _lines(outcome.output) == _lines(output)
        for outcome, output in zip(outcomes, wanted, strict=True)
    ]
    reasons = [outcome.reason for outcome in outcomes if outcome.reason]
    stopped = [reason for reason in reasons if reason.startswith(("stopped", *_DENIED))]
    if stopped or len(reasons) == len(outcomes):
        raise PolicyFaultError(
            f"The code failed: {[*stopped, *reasons][0]}. {sum(right)} of {len(right)} tests passed."
        )
    return sum(right) / len(right)


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().splitlines()]
