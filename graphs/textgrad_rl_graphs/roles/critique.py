"""The critic's role: judge a response step by step and end in a verdict."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from textgrad_rl_graphs.errors import ParseError
from textgrad_rl_graphs.roles.json_answer import json_object, json_text, shorten, texts_schema
from textgrad_rl_graphs.types import Dialect, Message

_VERDICT = re.compile(r"verdict:\s*\**\s*(correct|right|incorrect|wrong)\b", re.IGNORECASE)

_JSON_SYSTEM = """You are a strict critic. Go through the response step by step and find the first error, if any. \
Name it and say how to fix it{shown}. Answer with one JSON object:
{{"critique": "<your analysis and what has to change>", "verdict": "correct" or "wrong"}}"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the critic said, and whether it holds the response for correct."""

    critique: str
    correct: bool


@final
class CritiqueRole:
    """Renders question, response and what the critic may see of the reference; parses critique and verdict."""

    def render(
        self, dialect: Dialect, *, question: str, response: str, answer: str | None = None, solution: str | None = None
    ) -> tuple[Message, ...]:
        """Return the messages; ``answer`` and ``solution`` only where the critic may see them."""
        reference = [
            f"{label}: {text}" for label, text in (("Answer", answer), ("Solution", solution)) if text is not None
        ]
        user = "\n".join([f"Question: {question}", f"Response: {response}", *reference])
        if dialect == "plain":
            return (Message("system", "Check the solution."), Message("user", user))
        shown = ", without giving the reference away" if reference else ""
        return (Message("system", _JSON_SYSTEM.format(shown=shown)), Message("user", user))

    def schema(self, dialect: Dialect) -> Mapping[str, Any] | None:
        """Return the JSON schema of an answer, the critique before the verdict; None in the plain dialect."""
        return texts_schema("critique", "verdict") if dialect == "json" else None

    def parse(self, dialect: Dialect, text: str) -> Verdict:
        """Read an answer.

        Raises:
            ParseError: when it holds no verdict, or contradicting ones in JSON.

        >>> CritiqueRole().parse("plain", "Step 1 forgets the carry. Verdict: wrong").correct
        False
        """
        if dialect == "plain":
            verdicts = _VERDICT.findall(text)
            if not verdicts:
                raise ParseError(f"no 'Verdict: correct' or 'Verdict: wrong' in {shorten(text)!r}")
            return Verdict(text.strip(), verdicts[-1].lower() in ("correct", "right"))
        answer = json_object(text)
        verdict = json_text(answer, "verdict").lower()
        if verdict not in ("correct", "right", "incorrect", "wrong"):
            raise ParseError(f"the verdict is {verdict!r}, neither 'correct' nor 'wrong'")
        return Verdict(json_text(answer, "critique"), verdict in ("correct", "right"))
