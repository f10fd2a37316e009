"""The rewriting role: a prompt and the feedback on it in, the improved prompt out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from textgrad_rl_graphs.errors import ParseError
from textgrad_rl_graphs.roles.backward import one_line
from textgrad_rl_graphs.roles.json_answer import json_object, json_text, shorten
from textgrad_rl_graphs.types import Dialect, Message

_SYSTEM = """You improve a prompt, a part of a program. You see the whole prompt, its role, the constraints it has \
to obey and feedback from several runs, each with how often it was given. Write a new version that follows the \
feedback, stays general, keeps what works and obeys every constraint. Answer with one JSON object: \
{"prompt": "<the whole new prompt>"}"""


@final
class RewriteRole:
    """Renders a prompt with its feedback; parses the new prompt."""

    def render(
        self,
        dialect: Dialect,
        *,
        prompt: str,
        feedback: Sequence[tuple[str, int]],
        describe: str = "",
        constraints: Sequence[str] = (),
        rejected: Sequence[str] = (),
    ) -> tuple[Message, ...]:
        """Return the messages.

        Args:
            dialect: how the rewriting model wants to be spoken to.
            prompt: the current text.
            feedback: (text, how often it was given), most frequent first.
            describe: the prompt's role.
            constraints: what every version has to obey.
            rejected: versions that were tried and did not help.
        """
        if dialect == "plain":
            lines = "\n".join(f"Feedback: {one_line(text)}" for text, _ in feedback)
            return (Message("system", "Improve the prompt."), Message("user", f"Prompt: {prompt}\n{lines}"))
        parts = [f"<prompt>\n{prompt}\n</prompt>"]
        if describe:
            parts.append(f"Its role: {describe}")
        parts += [f"Constraint: {constraint}" for constraint in constraints]
        parts += [f'<feedback times="{count}">\n{text}\n</feedback>' for text, count in feedback]
        parts += [f"<tried_and_rejected>\n{text}\n</tried_and_rejected>" for text in rejected]
        return (Message("system", _SYSTEM), Message("user", "\n".join(parts)))

    def parse(self, dialect: Dialect, text: str) -> str:
        """Return the new prompt.

        Raises:
            ParseError: when there is none.
        """
        new = text.strip() if dialect == "plain" else json_text(json_object(text), "prompt")
        if not new:
            raise ParseError(f"the new prompt is empty in {shorten(text)!r}")
        return new
