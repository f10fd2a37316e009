"""Ask a model in a role until its answer can be read, a bounded number of times."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from textgrad_rl_graphs.errors import ParseError
from textgrad_rl_graphs.model import Model
from textgrad_rl_graphs.session import ask
from textgrad_rl_graphs.types import Completion, Message, Request, Role, Sampling, Usage

T = TypeVar("T")


class Consultation(NamedTuple, Generic[T]):
    """A parsed answer, the completion it came from, and what all attempts cost."""

    result: T
    completion: Completion
    usage: Usage
    attempts: int


async def consult(
    model: Model,
    role: Role,
    messages: tuple[Message, ...],
    parse: Callable[[str], T],
    *,
    seed_for: Callable[[int], int],
    sampling: Sampling,
    retries: int = 2,
    schema: Mapping[str, Any] | None = None,
    spent: list[Usage] | None = None,
) -> Consultation[T]:
    """Ask until ``parse`` succeeds, each attempt with a seed of its own.

    Args:
        model: whom to ask.
        role: what the request is for.
        messages: the rendered question.
        parse: reads an answer; raises ParseError.
        seed_for: attempt number -> seed.
        sampling: how answers are drawn.
        retries: further attempts after an unreadable answer.
        schema: the JSON schema that answers have to follow, None for free text.
        spent: what every attempt cost is added to it as its answer comes, so that it tells of failures too.

    Raises:
        ParseError: when no attempt could be read; names the last answer.
        ModelError: from the model, at once.
    """
    usage: Usage | None = None
    problem = ""
    for attempt in range(retries + 1):
        request = Request(messages=messages, sampling=sampling, seed=seed_for(attempt), role=role, schema=schema)
        completion = await ask(model, request)
        if spent is not None:
            spent.append(completion.usage)
        usage = completion.usage if usage is None else usage + completion.usage
        try:
            return Consultation(parse(completion.text), completion, usage, attempt + 1)
        except ParseError as error:
            problem = str(error)
    raise ParseError(f"{model.name} gave no readable {role} answer in {retries + 1} attempts: {problem}")
