"""Values: what flows along the edges of a graph, with its lineage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, final

from textgrad_rl_graphs.errors import GraphError
from textgrad_rl_graphs.types import as_text

if TYPE_CHECKING:
    from textgrad_rl_graphs.trace import Call, Trace


@final
class Value:
    """A piece of data in one run of a graph.

    Attributes:
        data: any Python object.
        text: the same as text, which is what models read.
        key: identity within the run: the call key of the call that made it, or a content hash for an input.
        name: how prompts call it.
        call: the call that made it, None for inputs and constants.

    ``str(value)`` and f-strings raise: they would cut the value off its lineage, and critiques could no longer flow
    through. Use a template, ``textgrad_rl.join``, or ``value.text`` where the cut is meant.
    """

    __slots__ = ("call", "data", "key", "name", "text", "trace")

    def __init__(
        self, data: Any, *, key: str, name: str, trace: Trace, call: Call | None = None, text: str | None = None
    ) -> None:
        """Made by nodes and graphs, not by users; ``text`` is that of the data unless it is given."""
        self.data = data
        self.text = as_text(data) if text is None else text
        self.key = key
        self.name = name
        self.trace = trace
        self.call = call

    def __repr__(self) -> str:
        """Show name and the beginning of the text."""
        shown = self.text if len(self.text) <= 60 else f"{self.text[:57]}..."
        return f"Value({self.name}={shown!r})"

    def __str__(self) -> NoReturn:
        """Refuse: lineage would be lost."""
        raise GraphError(
            f"str() or an f-string around the Value {self.name!r} would lose where it came from, so no critique could "
            "flow back through it. Pass it as an input of a template ('... {name} ...'), compose Values with "
            "textgrad_rl.join(a, b), or write value.text if the cut is meant."
        )

    def __format__(self, spec: str) -> NoReturn:
        """Refuse: lineage would be lost."""
        self.__str__()
