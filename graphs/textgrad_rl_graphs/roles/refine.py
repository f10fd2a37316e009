"""The refiner's role: rewrite a response as its critique says.

It sees question, previous response and critique, and is told to fix what the critique names, as in Critique-GRPO
(https://arxiv.org/abs/2506.03106). Both dialects answer with the refined response itself: what comes back is trained
into the policy token by token, so nothing may stand around it.
"""

from __future__ import annotations

from typing import final

from textgrad_rl_graphs.errors import ParseError
from textgrad_rl_graphs.types import Dialect, Image, Message

_SYSTEM = """Rewrite the response so that it fixes what the critique names. Reason step by step, keep what was right, \
and give the final answer in the same form as before. Write the new response only: no remark about the critique or \
the previous response."""


@final
class RefineRole:
    """Renders question, response and critique; the answer is the refinement."""

    def render(
        self, dialect: Dialect, *, question: str, response: str, critique: str, images: tuple[Image, ...] = ()
    ) -> tuple[Message, ...]:
        """Return the messages; ``images`` are those the question showed."""
        system = "Revise the solution." if dialect == "plain" else _SYSTEM
        user = f"Question: {question}\nResponse: {response}\nCritique: {critique}"
        return (Message("system", system), Message("user", user, images))

    def parse(self, dialect: Dialect, text: str) -> str:
        """Return the refinement, unchanged.

        Raises:
            ParseError: when it is empty.
        """
        if not text.strip():
            raise ParseError("the refinement is empty")
        return text
