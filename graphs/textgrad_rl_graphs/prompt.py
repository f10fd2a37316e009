"""Trainable text: the parameter that textual gradients change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from textgrad_rl_graphs.errors import ConfigError
from textgrad_rl_graphs.hashing import digest


@final
class Prompt:
    """A piece of text that training may rewrite.

    Args:
        text: the text to start from.
        name: how records and plots call it; defaults to its path in the graph.
        describe: its role, shown to the model that writes feedback and to the one that rewrites it.
        constraints: sentences every new version has to obey, shown to the rewriting model.

    >>> prompt = Prompt("Show every step.", name="solver")
    >>> before = prompt.version
    >>> prompt.text = "Show every step. Check the sign."
    >>> prompt.version == before
    False
    """

    __slots__ = ("_text", "_version", "constraints", "describe", "name")

    def __init__(self, text: str, *, name: str = "", describe: str = "", constraints: Sequence[str] = ()) -> None:
        """Keep the text and what is said about it."""
        if isinstance(constraints, str):
            raise ConfigError("constraints is a sequence of sentences, got one string; write constraints=(...,)")
        self.text = text
        self.name = name
        self.describe = describe
        self.constraints = tuple(constraints)

    @property
    def text(self) -> str:
        """The current text."""
        return self._text

    @text.setter
    def text(self, text: str) -> None:
        if not isinstance(text, str):
            raise ConfigError(f"a Prompt's text is a str, got {type(text).__name__}")
        self._text = text
        self._version = digest("prompt", text)

    @property
    def version(self) -> str:
        """Content hash of the text: going back to an old text is going back to its version."""
        return self._version

    def __repr__(self) -> str:
        """Show name and text."""
        return f"Prompt({self._text!r}, name={self.name!r})"
