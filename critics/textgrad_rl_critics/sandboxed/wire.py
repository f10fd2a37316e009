"""What crosses between the process of the tests and that of the code: plain data, and numbers that stand for objects.

Plain data has the exact types of Python's literals, so an object with an ``==`` of its own cannot cross; marshal
(https://docs.python.org/3/library/marshal.html) carries it, which runs no code on reading.
"""

from __future__ import annotations

import marshal
import struct
from collections.abc import Callable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO

_MOST_BYTES = 64 << 20
_LENGTH = struct.Struct("<Q")
_ATOMS: tuple[Any, ...] = (bool, int, float, complex, str, bytes)
_CONTAINERS: dict[str, Any] = {kind.__name__: kind for kind in (list, tuple, set, frozenset, dict)}


def send(stream: BinaryIO, message: Any) -> None:
    """Write a message of tuples, lists and plain data.

    Raises:
        ValueError: for more than fits into one message.
    """
    data = marshal.dumps(message)
    if len(data) > _MOST_BYTES:
        raise ValueError(f"no more than {_MOST_BYTES >> 20} MiB can be handed over")
    stream.write(_LENGTH.pack(len(data)) + data)
    stream.flush()


def receive(stream: BinaryIO) -> Any:
    """Read a message.

    Raises:
        EOFError: at the end, or when something else than a message comes.
    """
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size or (length := _LENGTH.unpack(head)[0]) > _MOST_BYTES:
        raise EOFError
    data = stream.read(length)
    if len(data) < length:
        raise EOFError
    try:
        return marshal.loads(data)
    except (ValueError, TypeError) as error:
        raise EOFError from error


def encode(value: Any, other: Callable[[Any], tuple[Any, ...]]) -> tuple[Any, ...]:
    """Return a value as plain data, or a container of such; ``other`` says how all else crosses."""
    try:
        return _encoded(value, other)
    except RecursionError:  # it holds itself
        return other(value)


def _encoded(value: Any, other: Callable[[Any], tuple[Any, ...]]) -> tuple[Any, ...]:
    try:
        return "data", plain(value)
    except TypeError:
        if type(value) not in _CONTAINERS.values():
            return other(value)
        items = value.items() if type(value) is dict else value
        return type(value).__name__, [_encoded(item, other) for item in items]


def decode(message: tuple[Any, ...], other: Callable[..., Any]) -> Any:
    """Return the value of a message; ``other(kind, *rest)`` makes all that is no plain data."""
    kind, *rest = message
    if kind == "data":
        return plain(rest[0])  # who sent it may not have used encode
    if kind in _CONTAINERS:
        return _CONTAINERS[kind](decode(item, other) for item in rest[0])
    return other(kind, *rest)


def plain(value: Any) -> Any:
    """Return a value with the exact types of literals, subclasses such as Counter or an IntEnum as their base.

    Raises:
        TypeError: for anything else.
    """
    if value is None or type(value) in _ATOMS:
        return value
    for base in (list, tuple, set, frozenset):
        if isinstance(value, base):
            return base(plain(item) for item in value)
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    for atom in _ATOMS[1:]:
        if isinstance(value, atom):
            return atom(value)
    raise TypeError(type(value).__name__)
