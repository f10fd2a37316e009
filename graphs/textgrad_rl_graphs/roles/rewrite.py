"""The rewriting role: a prompt and the feedback on it in, the improved prompt out.

The prompt itself is shown whole. What others wrote about it is bounded, so that neither a batch nor a single answer
makes the request grow without end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, final

from textgrad_rl_graphs.errors import ParseError
from textgrad_rl_graphs.roles.backward import one_line
from textgrad_rl_graphs.roles.json_answer import json_object, json_text, shorten, texts_schema
from textgrad_rl_graphs.types import Dialect, Message

_SYSTEM = """You improve a prompt, a part of a program. You see the whole prompt, its role, the constraints it has \
to obey and feedback from several runs, each with how often it was given. Write a new version that follows the \
feedback, stays general, keeps what works and obeys every constraint. Answer with one JSON object: \
{"prompt": "<the whole new prompt>"}"""

_LONGEST = 4000
"""Characters of a piece of feedback or of a former version; what is longer is shown without its middle."""


class Version(NamedTuple):
    """A version of a prompt that was tried.

    Attributes:
        text: the version.
        feedback: what it answered to: (text, how often it was given).
        outcome: what became of it, e.g. ``"accepted"``; "" while that is open.
    """

    text: str
    feedback: tuple[tuple[str, int], ...]
    outcome: str = ""


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
        tried: Sequence[Version] = (),
        examples: Sequence[str] = (),
    ) -> tuple[Message, ...]:
        """Return the messages.

        Args:
            dialect: how the rewriting model wants to be spoken to; in plain there is no place for role, constraints
                and rejected versions.
            prompt: the current text.
            feedback: (text, how often it was given), most frequent first.
            describe: the prompt's role.
            constraints: what every version has to obey.
            rejected: versions that were tried and did not help.
            tried: earlier versions, the oldest first.
            examples: prompts to imitate.
        """
        if dialect == "plain":
            lines = [f"Prompt: {prompt}", *(f"Example: {one_line(text)}" for text in examples)]
            lines += [line for version in tried for line in _plain_version(version)]
            lines += [f"Feedback: {line}" for line in _plain_feedback(feedback)]
            return (Message("system", "Improve the prompt."), Message("user", "\n".join(lines)))
        parts = [f"<prompt>\n{prompt}\n</prompt>"]
        if describe:
            parts.append(f"Its role: {describe}")
        parts += [f"Constraint: {constraint}" for constraint in constraints]
        parts += [f"<example_to_imitate>\n{text}\n</example_to_imitate>" for text in examples]
        parts += [_version(version) for version in tried]
        parts += _feedback(feedback)
        parts += [f"<tried_and_rejected>\n{shorten(text, _LONGEST)}\n</tried_and_rejected>" for text in rejected]
        return (Message("system", _SYSTEM), Message("user", "\n".join(parts)))

    def schema(self, dialect: Dialect) -> Mapping[str, Any] | None:
        """Return the JSON schema of an answer; None in the plain dialect."""
        return texts_schema("prompt") if dialect == "json" else None

    def parse(self, dialect: Dialect, text: str) -> str:
        """Return the new prompt.

        Raises:
            ParseError: when there is none.
        """
        new = text.strip() if dialect == "plain" else json_text(json_object(text), "prompt")
        if not new:
            raise ParseError(f"the new prompt is empty in {shorten(text)!r}")
        return new


def _feedback(feedback: Iterable[tuple[str, int]]) -> list[str]:
    return [f'<feedback times="{count}">\n{shorten(text, _LONGEST)}\n</feedback>' for text, count in feedback]


def _version(version: Version) -> str:
    inside = "\n".join([*_feedback(version.feedback), f"<text>\n{shorten(version.text, _LONGEST)}\n</text>"])
    return f'<earlier_version outcome="{version.outcome}">\n{inside}\n</earlier_version>'


def _plain_feedback(feedback: Iterable[tuple[str, int]]) -> list[str]:
    return [shorten(one_line(text), _LONGEST) for text, _ in feedback]


def _plain_version(version: Version) -> list[str]:
    answered = [f"Earlier feedback: {line}" for line in _plain_feedback(version.feedback)]
    return [*answered, f"Earlier version ({version.outcome}): {shorten(one_line(version.text), _LONGEST)}"]
