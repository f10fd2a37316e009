"""Calls of the C library that Python has no function for."""

from __future__ import annotations

import ctypes
import os


def call(function: str, *arguments: int | bytes) -> int:
    """Call a function; numbers go as ``long``, bytes as a pointer to them.

    Raises:
        OSError: where it returns less than 0.
    """
    library = ctypes.CDLL(None, use_errno=True)
    given = (ctypes.c_long(item) if isinstance(item, int) else ctypes.c_char_p(item) for item in arguments)
    if (result := int(library[function](*given))) < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{function}: {os.strerror(number)}")
    return result
