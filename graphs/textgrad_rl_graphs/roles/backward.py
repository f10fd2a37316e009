"""The backward role: turn the critique of an output into feedback on what caused it.

One call per LLM node and trace: all causes (its prompts, and inputs that something trainable made) in one answer.
Small models that speak ``"plain"`` are asked about the first prompt alone, and inputs get the critique itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, final

from textgrad_rl_graphs.conversation import shown_in, system_message, transcript
from textgrad_rl_graphs.errors import ParseError
from textgrad_rl_graphs.roles.json_answer import json_object, shorten, texts_schema
from textgrad_rl_graphs.types import Dialect, Message

_SYSTEM = """You improve a program made of language-model calls. You see one call: the text that went in, the response \
that came out, and a critique of that response. Say for each of the listed causes how it should change so that the \
response gets better, in general terms that help on other questions too; write an empty string for a cause that should \
stay as it is. Answer with one JSON object whose keys are the names of the causes and whose values are your feedback."""

_TELL = re.compile(r"^\s*tell the [\w ]+?:\s*\S", re.IGNORECASE)
_KEEP = re.compile(r"^\s*keep the prompt\.?\s*$", re.IGNORECASE)


class Cause(NamedTuple):
    """Something a response depended on.

    Attributes:
        name: key of the answer, e.g. ``"system"`` or ``"input.plan"``.
        text: its whole text.
        describe: its role in the program.
        is_prompt: a trainable prompt, rather than an input.
    """

    name: str
    text: str
    describe: str = ""
    is_prompt: bool = False


@final
class BackwardRole:
    """Renders one call with its critique; parses feedback per cause."""

    def asks(self, dialect: Dialect, causes: Sequence[Cause]) -> bool:
        """Tell whether a model has to be asked; else every cause gets the critique itself."""
        return dialect == "json" or any(cause.is_prompt for cause in causes)

    def render(
        self,
        dialect: Dialect,
        *,
        causes: Sequence[Cause],
        messages: Sequence[Message],
        response: str,
        critique: str,
        describe: str = "",
    ) -> tuple[Message, ...]:
        """Return the messages; what the node showed is shown again, where the model speaks ``"json"``.

        Args:
            dialect: how the backward model wants to be spoken to.
            causes: what feedback is wanted on.
            messages: what the node sent.
            response: what came back.
            critique: what was wrong with it.
            describe: the node's role in the program.
        """
        if dialect == "plain":
            prompt = next((cause.text for cause in causes if cause.is_prompt), "")
            user = f"Prompt: {prompt}\nCritique: {one_line(critique)}"
            return (Message("system", "Give feedback on the prompt."), Message("user", user))
        sent = transcript(messages)
        listed = "\n".join([_listed(cause) for cause in causes])
        role = f"The call's role in the program: {describe}\n" if describe else ""
        user = (
            f"{role}<sent>\n{sent}\n</sent>\n<response>\n{response}\n</response>\n"
            f"<critique>\n{critique}\n</critique>\nCauses to give feedback on:\n{listed}"
        )
        return (*system_message(_SYSTEM), Message("user", user, shown_in(messages)))

    def schema(self, dialect: Dialect, causes: Sequence[Cause]) -> Mapping[str, Any] | None:
        """Return the JSON schema of an answer: a text for every cause; None in the plain dialect.

        >>> BackwardRole().schema("json", [Cause("system", "Solve."), Cause("input.plan", "Add.")])["required"]
        ['system', 'input.plan']
        """
        return texts_schema(*[cause.name for cause in causes]) if dialect == "json" else None

    def parse(self, dialect: Dialect, text: str, *, causes: Sequence[Cause], critique: str) -> Mapping[str, str]:
        """Return feedback by cause; causes that should stay as they are are left out.

        Raises:
            ParseError: when the answer cannot be read or names no cause.

        >>> cause = Cause("system", "Solve.", is_prompt=True)
        >>> BackwardRole().parse("plain", "Tell the solver: Carry the tens.", causes=[cause], critique="")
        {'system': 'Tell the solver: Carry the tens.'}
        """
        if dialect == "plain":
            feedback = {cause.name: critique for cause in causes if not cause.is_prompt}
            prompt = next((cause.name for cause in causes if cause.is_prompt), None)
            if prompt is None or _KEEP.match(text):
                return feedback
            if not _TELL.match(text):
                raise ParseError(f"expected 'Tell the ...: ...' or 'Keep the prompt.', got {shorten(text)!r}")
            return {prompt: text.strip(), **feedback}
        answer = json_object(text)
        feedback, named = {}, False
        for cause in causes:
            value = answer.get(cause.name)
            if value is None:
                named = named or cause.name in answer
            elif isinstance(value, str):
                named = True
                if stripped := value.strip():
                    feedback[cause.name] = stripped
            else:
                raise ParseError(f"the feedback on {cause.name!r} is {value!r}, not text")
        if not named:
            raise ParseError(f"the answer names none of the causes {[c.name for c in causes]}: {shorten(text)!r}")
        return feedback


def _listed(cause: Cause) -> str:
    role = f" role={cause.describe!r}" if cause.describe else ""
    return f'<cause name="{cause.name}"{role}>\n{cause.text}\n</cause>'


def one_line(text: str) -> str:
    """Return the text on one line, as the plain dialect's labelled lines need it."""
    return " ".join(text.split())
