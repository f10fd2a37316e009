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
from typing import ClassVar, final

from textgrad_rl_graphs.feedback import Feedback
from textgrad_rl_graphs.trace import Failure
from textgrad_rl_graphs.types import Usage


@dataclass(frozen=True, slots=True, order=True)
class Note:
    """One critique: where it came from (``trace id/call key``) and what it says."""

    source: str
    text: str


@final
@dataclass(frozen=True)
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
        return cls((Note(source, text.strip()),)) if text.strip() else cls()

    @classmethod
    def sum(cls, gradients: Iterable[TextGradient]) -> TextGradient:
        """Return the sum, in one pass."""
        notes = {note for gradient in gradients for note in gradient.notes}
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
        return "\n".join(dict.fromkeys(note.text for note in self.notes))

    def counted(self) -> list[tuple[str, int]]:
        """Return the distinct texts with how many sources said each, most frequent first."""
        counts = Counter(note.text for note in self.notes)
        return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


@dataclass(frozen=True, slots=True, order=True)
class Edge:
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
@dataclass(frozen=True)
class Gradients:
    """What backward found, for every value and every prompt.

    ``a | b`` merges by call: what ``b`` holds for an edge replaces what ``a`` holds, so backward repeated after a
    failure never counts twice.

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
        edges = {**self.edges, **other.edges}
        settled = {(edge.trace_id, edge.call_key) for edge in edges}
        failed = {(item.trace_id, item.call_key): item for item in (*self.failed, *other.failed)}
        return Gradients(
            edges,
            {**self.feedback, **other.feedback},
            tuple(item for key, item in sorted(failed.items()) if key not in settled),
            self.usage + other.usage,
        )
