"""A Python function as a model: the double that tests and users share.

Left out: failures and delays on purpose; the function can raise and sleep.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import final

from textgrad_rl_graphs.types import Completion, Dialect, Request, Usage

Answer = str | Completion


@final
class FunctionModel:
    """Answers every request by calling a function.

    Args:
        function: takes the Request, returns the text or a whole Completion; plain or async. What it raises reaches
            the caller unchanged.
        name: shown in records and errors.
        dialect: how roles speak to it.

    >>> import asyncio
    >>> from textgrad_rl_graphs.types import Message
    >>> model = FunctionModel(lambda request: request.messages[-1].content.upper())
    >>> answer = asyncio.run(model.complete(Request(messages=(Message("user", "say it"),))))
    >>> answer.text, answer.usage.prompt_tokens
    ('SAY IT', 2)
    """

    def __init__(
        self,
        function: Callable[[Request], Answer | Awaitable[Answer]],
        *,
        name: str = "function",
        dialect: Dialect = "plain",
    ) -> None:
        """Keep the function."""
        self._function = function
        self.name = name
        self.dialect: Dialect = dialect
        self.trainable = False
        self.weight_version = 0

    async def complete(self, request: Request) -> Completion:
        """Call the function; a text is wrapped into a Completion whose usage counts words separated by white space."""
        answer = self._function(request)
        if not isinstance(answer, str | Completion):
            answer = await answer
        if isinstance(answer, Completion):
            return answer
        read = sum(len(message.content.split()) for message in request.messages)
        usage = Usage(prompt_tokens=read, generated_tokens=len(answer.split()), calls=1)
        return Completion(text=answer, usage=usage, model=self.name)

    def __repr__(self) -> str:
        return f"FunctionModel({self.name!r})"
