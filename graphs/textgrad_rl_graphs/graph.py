"""Graphs: plain Python classes whose ``forward`` calls nodes.

A subclass assigns nodes (and other graphs, and lists or dicts of them) to attributes in ``__init__`` and writes
``async def forward(self, **inputs)``. Running it records a Trace. Branches, loops, parallel calls
(``asyncio.gather``) and nested graphs are the Python they look like.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Any

from textgrad_rl_graphs.errors import GraphError, RecordsError
from textgrad_rl_graphs.hashing import digest
from textgrad_rl_graphs.model import Model
from textgrad_rl_graphs.node import (
    CURRENT_TRACE,
    LLM,
    Function,
    Node,
    NodeFailedError,
    as_values,
    constant,
    current_trace,
)
from textgrad_rl_graphs.prompt import Prompt
from textgrad_rl_graphs.sync import blocking
from textgrad_rl_graphs.trace import Replay, Trace, enter_branch, leave_branch
from textgrad_rl_graphs.types import Example
from textgrad_rl_graphs.value import Value


async def _forward_missing(self: Graph, **inputs: Any) -> Value:
    raise GraphError(f"{type(self).__name__} does not define 'async def forward(self, ...)'")


class Graph:
    """Base class of programs.

    >>> from textgrad_rl_graphs.node import Function
    >>> class Double(Graph):
    ...     def __init__(self):
    ...         self.double = Function(lambda x: 2 * x, effects="none")
    ...     async def forward(self, x):
    ...         return await self.double(x)
    >>> Double().run({"x": 21}).output.data
    42
    """

    _paths: dict[int, tuple[str, Node]] | None = None

    # An attribute rather than a method, so that subclasses may name their inputs and stay correctly typed.
    forward: Callable[..., Coroutine[Any, Any, Value]] = _forward_missing
    """One example in, one Value out; subclasses write it."""

    async def __call__(self, **inputs: Any) -> Value:
        """Run as part of another graph's ``forward``."""
        return await self.forward(**inputs)

    async def arun(
        self,
        inputs: Mapping[str, Any] | Example,
        *,
        sample: int = 0,
        step: int = 0,
        seed: int = 0,
        replay: Replay | None = None,
        versionless: bool = False,
    ) -> Trace:
        """Run the graph once.

        Args:
            inputs: the named inputs of ``forward``, or an Example.
            sample: number of this run among runs of the same example.
            step: training step, part of every seed.
            seed: the run seed.
            replay: what to take from an earlier run.
            versionless: draw with seeds that do not depend on the prompts' versions, to compare versions.

        Returns:
            The trace. A node that failed leaves ``trace.output`` None and ``trace.failure`` set; errors of the
            program itself (a wrong input name, a Value of another run) are raised.
        """
        example = _example(inputs)
        self._check_inputs(example)
        trace = Trace(self, example, sample, step, seed, replay, versionless)
        token, branch = CURRENT_TRACE.set(trace), enter_branch("")
        try:
            trace.inputs = {name: constant(trace, name, data) for name, data in example.inputs.items()}
            output = await self.forward(**trace.inputs)
            if not isinstance(output, Value):
                raise GraphError(
                    f"{type(self).__name__}.forward returned {type(output).__name__}, not a Value; return what a node "
                    "gave, or textgrad_rl.join(...) of several"
                )
            if output.trace is not trace:
                raise GraphError(
                    f"{type(self).__name__}.forward returned a Value of another run ({output.trace.id}), {output!r}; "
                    "return what a node gave in this run"
                )
            trace.output = output
        except NodeFailedError as error:
            trace.failure = error.failure
        finally:
            CURRENT_TRACE.reset(token)
            leave_branch(branch)
        if replay is not None:
            trace.diverged = tuple(call.key for call in replay.source.ordered() if call.key not in trace.calls)
        return trace

    run = blocking(arun)

    async def arun_many(
        self,
        examples: Sequence[Mapping[str, Any] | Example],
        *,
        samples: int = 1,
        step: int = 0,
        seed: int = 0,
        versionless: bool = False,
    ) -> list[Trace]:
        """Run the graph ``samples`` times on every example, all at once; samples of one example stand together.

        An example that occurs again gets further sample numbers. See :meth:`arun` for the arguments.
        """
        seen: Counter[str] = Counter()
        runs = []
        for example in map(_example, examples):
            numbers = range(seen[example.key], seen[example.key] + samples)
            seen[example.key] += samples
            runs += [self.arun(example, sample=n, step=step, seed=seed, versionless=versionless) for n in numbers]
        return list(await asyncio.gather(*runs))

    run_many = blocking(arun_many)

    def _check_inputs(self, example: Example) -> None:
        """Refuse inputs that ``forward`` does not take."""
        try:
            signature(self.forward).bind(**example.inputs)
        except TypeError as error:
            takes = ", ".join(signature(self.forward).parameters)
            raise GraphError(
                f"{type(self).__name__}.forward takes {takes or 'no inputs'}, the example gives "
                f"{', '.join(example.inputs)}: {error}"
            ) from None

    def nodes(self) -> dict[str, Node]:
        """Return every node by its path, e.g. ``{"plan": LLM, "inner.solve": LLM}``, each once, in attribute order."""
        found: dict[int, tuple[str, Node]] = {}
        stack: list[tuple[str, Any]] = [("", self)]
        visited: set[int] = set()
        while stack:
            path, item = stack.pop()
            if isinstance(item, LLM | Function):
                found.setdefault(id(item), (path, item))
            elif isinstance(item, Graph | dict | list | tuple) and id(item) not in visited:
                visited.add(id(item))
                stack.extend(reversed([(f"{path}.{name}" if path else name, part) for name, part in _parts(item)]))
        return dict(found.values())

    def path_of(self, node: Node) -> str:
        """Return a node's path; nodes added after the last look are found too."""
        if self._paths is None or id(node) not in self._paths:
            # With the nodes themselves: an id is only unique while its object lives.
            self._paths = {id(known): (path, known) for path, known in self.nodes().items()}
        if id(node) not in self._paths:
            raise GraphError(
                f"a node that is no attribute of {type(self).__name__} was called in its run; assign it in __init__ "
                "(self.name = ...), so that it has a path"
            )
        return self._paths[id(node)][0]

    def parameters(self) -> dict[str, Prompt | Model]:
        """Return what training may change by path: ``{"solve.system": Prompt, "solve.model": Policy}``.

        A Prompt or Policy used in several places is listed once, under its first path.
        """
        found: dict[int, tuple[str, Prompt | Model]] = {}
        for path, node in self.nodes().items():
            if isinstance(node, LLM):
                for place, prompt in node.prompts().items():
                    found.setdefault(id(prompt), (f"{path}.{place}", prompt))
                if node.model.trainable:
                    found.setdefault(id(node.model), (f"{path}.model", node.model))
        return dict(found.values())

    def save(self, directory: str | Path) -> None:
        """Write the prompts (``prompts.json``) and every policy (a Hugging Face folder each) to a directory."""
        folder = Path(directory)
        folder.mkdir(parents=True, exist_ok=True)
        prompts: dict[str, str] = {}
        for path, parameter in self.parameters().items():
            if isinstance(parameter, Prompt):
                prompts[path] = parameter.text
            else:
                parameter.save(folder / path)  # type: ignore[attr-defined]  # policies save; see textgrad_rl.policies
        (folder / "prompts.json").write_text(json.dumps(prompts, indent=2, ensure_ascii=False) + "\n", "utf-8")

    def load_state(self, directory: str | Path) -> None:
        """Read back what :meth:`save` wrote.

        Raises:
            RecordsError: when the directory holds other parameters than this graph.
        """
        folder = Path(directory)
        try:
            prompts = json.loads((folder / "prompts.json").read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise RecordsError(f"{folder} holds no readable prompts.json: {error}") from error
        parameters = self.parameters()
        mine = {path for path, parameter in parameters.items() if isinstance(parameter, Prompt)}
        if not isinstance(prompts, dict) or not all(isinstance(text, str) for text in prompts.values()):
            raise RecordsError(f"{folder}/prompts.json is not a mapping from paths to texts")
        if mine != set(prompts):
            raise RecordsError(f"{folder} holds the prompts {sorted(prompts)}, this graph has {sorted(mine)}")
        for path, parameter in parameters.items():
            if not isinstance(parameter, Prompt):  # before the prompts, since these can fail
                parameter.load(folder / path)  # type: ignore[attr-defined]  # policies load; see textgrad_rl.policies
        for path, parameter in parameters.items():
            if isinstance(parameter, Prompt):
                parameter.text = prompts[path]


def _example(inputs: Mapping[str, Any] | Example) -> Example:
    if isinstance(inputs, Example):
        return inputs
    if not isinstance(inputs, Mapping):
        raise GraphError(f"a run takes named inputs, e.g. run({{'question': ...}}), or an Example, got {inputs!r}")
    return Example(dict(inputs))


def _parts(item: Graph | dict[Any, Any] | list[Any] | tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
    if isinstance(item, Graph):
        yield from ((name, part) for name, part in vars(item).items() if not name.startswith("_"))
    elif isinstance(item, dict):
        yield from ((str(name), part) for name, part in item.items())
    else:
        yield from ((str(index), part) for index, part in enumerate(item))


def _concatenate(*texts: str, separator: str) -> str:
    return separator.join(texts)


_JOIN = Function(_concatenate, describe="puts texts one after the other", effects="none")


def join(*values: Value | str, separator: str = "\n") -> Value:
    """Compose Values and strings into one Value that keeps the lineage of all; a critique passes to each.

    Used inside ``forward``: ``textgrad_rl.join(plan, "Check:", answer)``.
    """
    trace = current_trace("textgrad_rl.join")
    parts = as_values(trace, "join", {f"arg{index}": value for index, value in enumerate(values)})
    call = trace.open_call(_JOIN, "join", parts, digest("separator", separator))
    text = _concatenate(*(part.text for part in parts.values()), separator=separator)
    call.output = Value(text, key=call.key, name="join", trace=trace, call=call)
    return call.output
