"""Textual gradients and how they add.

Adding belongs to the gradient's kind, never to the walk. :class:`TextGradient` is a set of notes kept in order:
``+`` is commutative and associative, has an identity (no notes), and adding a gradient to itself changes nothing, so
a note that arrives over two edges, or a second time after a retry, counts once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, NamedTuple, final

from textgrad_rl_graphs.feedback import Feedback
from textgrad_rl_graphs.trace import Failure
from textgrad_rl_graphs.types import Usage


class Note(NamedTuple):
    """One critique: where it came from (``trace id/call key``) and what it says."""

    source: str
    text: str


@final
@dataclass(frozen=True, slots=True)
class TextGradient:
    """How a value or a prompt should change, from any number of sources.

    Invariant: notes are sorted, distinct, and at most ``bound`` (the first in order are kept).

    >>> a, b = TextGradient.of("t1/x", "Carry."), TextGradient.of("t2/x", "Be brief.")
    >>> a + b == b + a == a + b + a
    True
    >>> bool(TextGradient())
    False
    """

    notes: tuple[Note, ...] = ()

    bound: ClassVar[int] = 256

    @classmethod
    def of(cls, source: str, text: str) -> TextGradient:
        """Return a gradient of one note; blank text gives the zero gradient."""
        stripped = text.strip()
        return cls((Note(source, stripped),)) if stripped else cls()

    @classmethod
    def sum(cls, gradients: Iterable[TextGradient]) -> TextGradient:
        """Return the sum, in one pass."""
        some = [gradient for gradient in gradients if gradient.notes]
        if len(some) == 1:
            return some[0]
        notes = {note for gradient in some for note in gradient.notes}
        return cls(tuple(sorted(notes)[: cls.bound]))

    def __add__(self, other: TextGradient) -> TextGradient:
        """Return the union of notes, bounded."""
        return TextGradient.sum((self, other))

    def __bool__(self) -> bool:
        """False for the zero gradient."""
        return bool(self.notes)

    @property
    def text(self) -> str:
        """The distinct texts, one per line."""
        if len(self.notes) == 1:
            return self.notes[0].text
        return "\n".join(dict.fromkeys(note.text for note in self.notes))

    def counted(self) -> list[tuple[str, int]]:
        """Return the distinct texts with how many sources said each, most frequent first."""
        counts = Counter(note.text for note in self.notes)
        return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


class Edge(NamedTuple):
    """Where a gradient flowed: from a call of a trace to a call's value or to a prompt.

    Attributes:
        trace_id: the run.
        call_key: the call whose backward made it, ``""`` for the critique of the output itself.
        kind: ``"value"`` or ``"prompt"``.
        target: the call key of the value, or the path of the prompt.
    """

    trace_id: str
    call_key: str
    kind: str
    target: str


@dataclass(frozen=True, slots=True)
class FailedCall:
    """A backward call that gave nothing; the rest of the walk went on."""

    trace_id: str
    call_key: str
    failure: Failure


@final
@dataclass(frozen=True, repr=False)
class Gradients:
    """What backward found, for every value and every prompt.

    ``a | b`` merges by call: what ``b`` holds for an edge replaces what ``a`` holds, so backward repeated after a
    failure never counts twice. ``a + b`` adds, for another critique of the same runs.

    Attributes:
        edges: the gradient of every edge; zero where a cause was asked about and should stay as it is.
        feedback: by trace id, the feedback the walk started from.
        failed: backward calls that failed.
        usage: what the calls cost.
    """

    edges: Mapping[Edge, TextGradient] = field(default_factory=dict)
    feedback: Mapping[str, Feedback] = field(default_factory=dict)
    failed: tuple[FailedCall, ...] = ()
    usage: Usage = field(default_factory=Usage)

    @cached_property
    def prompts(self) -> dict[str, TextGradient]:
        """The gradient of every prompt by path."""
        parts: dict[str, list[TextGradient]] = {}
        for edge, gradient in self.edges.items():
            if edge.kind == "prompt" and gradient:
                parts.setdefault(edge.target, []).append(gradient)
        return {path: TextGradient.sum(parts[path]) for path in sorted(parts)}

    @cached_property
    def values(self) -> dict[tuple[str, str], TextGradient]:
        """The gradient of every value by (trace id, call key)."""
        parts: dict[tuple[str, str], list[TextGradient]] = {}
        for edge, gradient in self.edges.items():
            if edge.kind == "value" and gradient:
                parts.setdefault((edge.trace_id, edge.target), []).append(gradient)
        return {key: TextGradient.sum(parts[key]) for key in sorted(parts)}

    def __or__(self, other: Gradients) -> Gradients:
        """Return the merge; calls that succeeded in either are no longer failed."""
        return self._merged(other, {**self.edges, **other.edges})

    def __add__(self, other: Gradients) -> Gradients:
        """Return the sum on every edge; what both say counts once."""
        both = {edge: gradient + other.edges[edge] for edge, gradient in self.edges.items() if edge in other.edges}
        return self._merged(other, {**self.edges, **other.edges, **both})

    def __repr__(self) -> str:
        """Show the sizes; the texts would be pages."""
        return f"Gradients(edges={len(self.edges)}, prompts={list(self.prompts)}, failed={len(self.failed)})"

    def _merged(self, other: Gradients, edges: Mapping[Edge, TextGradient]) -> Gradients:
        failed = {(item.trace_id, item.call_key): item for item in (*self.failed, *other.failed)}
        settled = {(edge.trace_id, edge.call_key) for edge in edges} if failed else set()
        return Gradients(
            edges,
            {**self.feedback, **other.feedback},
            tuple(item for key, item in sorted(failed.items()) if key not in settled),
            self.usage + other.usage,
        )
