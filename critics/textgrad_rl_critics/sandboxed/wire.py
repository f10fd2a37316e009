"""What crosses between the process of the tests and that of the code: plain data, and numbers that stand for objects.

Plain data has the exact types of Python's literals, so an object with an ``==`` of its own cannot cross; marshal
(https://docs.python.org/3/library/marshal.html) carries it, which runs no code on reading.
"""

from __future__ import annotations

import marshal
import struct
from collections.abc import Callable
from typing import Any, BinaryIO

_MOST_BYTES = 64 << 20
_LENGTH = struct.Struct("<Q")
_ATOMS: tuple[Any, ...] = (bool, int, float, complex, str, bytes)


def send(stream: BinaryIO, message: Any) -> None:
    """Write a message of tuples, lists and plain data."""
    data = marshal.dumps(message)
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
    """Return a value as plain data, or list and tuple of such; ``other`` says how all else crosses."""
    try:
        return "data", plain(value)
    except (TypeError, RecursionError):
        if type(value) in (list, tuple):
            return type(value).__name__, [encode(item, other) for item in value]
        return other(value)


def decode(message: tuple[Any, ...], other: Callable[..., Any]) -> Any:
    """Return the value of a message; ``other(kind, *rest)`` makes all that is no plain data."""
    kind, *rest = message
    if kind == "data":
        return rest[0]
    if kind in ("list", "tuple"):
        items = [decode(item, other) for item in rest[0]]
        return items if kind == "list" else tuple(items)
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
