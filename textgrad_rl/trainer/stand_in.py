"""What stands in the place of every model while a run is estimated: answers at once, for nothing."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any, final

from textgrad_rl_graphs.graph import Graph
from textgrad_rl_graphs.hashing import digest
from textgrad_rl_graphs.model import Model
from textgrad_rl_graphs.node import CURRENT_TRACE
from textgrad_rl_graphs.types import Completion, Request, Usage

_CAUSE = re.compile(r'<cause name="([^"]+)"')
_READS = frozenset({"data", "text"})


@final
class StandIn:
    """Answers every role in the form it wants, as if all responses were right or all wrong.

    Args:
        right: whether responses give the example's reference answer, and critiques agree.

    Attributes:
        effects: False: Functions with effects are not run.
        bounded: True while every request had a ``max_tokens``; an answer's usage is that many generated tokens.
    """

    effects = False

    def __init__(self, *, right: bool) -> None:
        """Remember the side to take."""
        self.right = right
        self.bounded = True

    async def answer(self, model: Model, request: Request) -> Completion:
        """Return an answer that its reader can parse."""
        most = request.sampling.max_tokens
        self.bounded &= most is not None
        usage = Usage(generated_tokens=most or 0, calls=1)
        return Completion(text=self._say(model, request), usage=usage, model=model.name)

    def _say(self, model: Model, request: Request) -> str:
        plain, said = model.dialect == "plain", request.messages[-1].content
        if request.role == "critique":
            verdict = "correct" if self.right else "wrong"
            return f"Verdict: {verdict}" if plain else json.dumps({"critique": "So it is.", "verdict": verdict})
        if request.role == "backward":
            return "Tell the model: change." if plain else json.dumps(dict.fromkeys(_CAUSE.findall(said), "Change."))
        if request.role == "rewrite":
            text = f"Version {digest(request.seed)}."
            return text if plain else json.dumps({"prompt": text})
        trace = CURRENT_TRACE.get()
        answer = trace.example.answer if trace is not None and self.right else None
        return f"Answer: {answer or 'a stand-in'}"


def looks_at_answers(graph: Graph) -> bool:
    """Tell whether code of a graph reads ``.text`` or ``.data``: what it calls next may then depend on answers.

    A guess on the safe side, from names in its methods and in the functions of their module that these use.

    >>> class Once(Graph):
    ...     async def forward(self, question):
    ...         return await self.solve(question=question)
    >>> class Until(Graph):
    ...     async def forward(self, question):
    ...         while (answer := await self.solve(question=question)).text != "done":
    ...             pass
    ...         return answer
    >>> looks_at_answers(Once()), looks_at_answers(Until())
    (False, True)
    """
    waiting = [function for part in _graphs(graph) for function in _methods(part)]
    seen: set[CodeType] = set()
    while waiting:
        function = waiting.pop()
        if function.__code__ in seen:
            continue
        seen.add(function.__code__)
        names = set(_names(function.__code__))
        if names & _READS:
            return True
        known = function.__globals__
        used = (known.get(name) for name in names)
        waiting += [item for item in used if inspect.isfunction(item) and item.__module__ == function.__module__]
    return False


def _graphs(graph: Graph) -> Iterator[Graph]:
    """Return a graph and the graphs among its attributes."""
    stack: list[Any] = [graph]
    seen: set[int] = set()
    while stack:
        item = stack.pop()
        if id(item) in seen or not isinstance(item, Graph | dict | list | tuple):
            continue
        seen.add(id(item))
        if isinstance(item, Graph):
            yield item
        parts = vars(item) if isinstance(item, Graph) else item
        stack.extend(parts.values() if isinstance(parts, dict) else parts)


def _methods(graph: Graph) -> Iterator[Callable[..., Any]]:
    for kind in type(graph).__mro__:
        if kind is Graph:
            return
        yield from (item for name, item in vars(kind).items() if inspect.isfunction(item) and name != "__init__")


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
