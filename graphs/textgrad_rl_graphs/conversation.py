"""Conversations: messages as one text, a system message put in, and which earlier answer a conversation goes on from.

Left out: tool calls as a message of their own; they are text in what the assistant says.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from textgrad_rl_graphs.errors import GraphError
from textgrad_rl_graphs.types import Image, Message, are_images
from textgrad_rl_graphs.value import Value


def transcript(messages: Iterable[Message]) -> str:
    """Return a conversation as one text; pictures are named by their type and content hash.

    >>> print(transcript([Message("user", "6 * 7?"), Message("assistant", "42")]))
    <user>
    6 * 7?
    </user>
    <assistant>
    42
    </assistant>
    """
    return "\n".join(
        [f"<{item.role}>\n{item.content}{_unnamed(item) if item.images else ''}\n</{item.role}>" for item in messages]
    )


def _unnamed(message: Message) -> str:
    """Name the pictures that the message shows without naming them itself."""
    return "".join([f"\n{image}" for image in message.images if str(image) not in message.content])


def shown_in(messages: Iterable[Message]) -> tuple[Image, ...]:
    """Return the pictures of a conversation in order, each once."""
    images = [image for message in messages for image in message.images]
    return tuple(dict.fromkeys(images)) if images else ()


def images_in(data: Iterable[Any]) -> tuple[Image, ...]:
    """Return the pictures among the inputs of a call, those of lists too."""
    images: list[Image] = []
    for item in data:
        if isinstance(item, Image):
            images.append(item)
        elif are_images(item):
            images += item
    return tuple(images)


@lru_cache(maxsize=1024)
def system_message(text: str) -> tuple[Message, ...]:
    """Return the beginning of a conversation, one object for all calls that begin with it."""
    return (Message("system", text),)


def conversation(messages: Sequence[Any], *, system: bool, where: str) -> tuple[Message, ...]:
    """Return a given conversation, checked.

    Args:
        messages: what was said so far.
        system: False leaves a leading system message out, because another one takes its place.
        where: the node's path, for errors.

    Raises:
        GraphError: when there is nothing to answer or something else than messages.
    """
    given = tuple(messages)
    for number, message in enumerate(given):
        if not isinstance(message, Message):
            raise GraphError(
                f"{where}: chat takes a list of textgrad_rl.Message(role, content), number {number} is {message!r}"
            )
    rest = given[1:] if given and not system and given[0].role == "system" else given
    if not rest:
        raise GraphError(f"{where}: chat got no message to answer; give at least Message('user', ...)")
    return rest


def continued(messages: tuple[Message, ...], values: Iterable[Value]) -> Value | None:
    """Return the one of the values that is the last answer in a conversation, if any is.

    It is when the assistant's last message is its text, and what stands before is what its call had sent.
    """
    turn = max((place for place, message in enumerate(messages) if message.role == "assistant"), default=None)
    if turn is None:
        return None
    for value in values:
        if value.call is not None and value.text == messages[turn].content and value.call.messages == messages[:turn]:
            return value
    return None
