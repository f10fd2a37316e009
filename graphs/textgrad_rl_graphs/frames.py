"""Exceptions as feedback: what was raised, cut to the frames of the user's own code."""

from __future__ import annotations

import site
import sysconfig
import traceback
from pathlib import Path
from traceback import FrameSummary

_MAX_FRAMES = 5


def own_frames(error: BaseException) -> str:
    """Describe an exception by its frames outside of this library, installed packages and the standard library.

    Where a package raised it, the frame that did stands last.
    """
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).parent != Path(__file__).parent
    ]
    own = [frame for frame in frames if _is_users(frame)]
    shown = [*own[-_MAX_FRAMES:], *(frames[-1:] if frames[-1:] != own[-1:] else ())]
    return "\n".join([f"it raised {type(error).__name__}: {error}", *map(_line, shown)])


def _is_users(frame: FrameSummary) -> bool:
    packages = (*site.getsitepackages(), site.getusersitepackages(), sysconfig.get_path("stdlib"), "<frozen ")
    return not frame.filename.startswith(packages)


def _line(frame: FrameSummary) -> str:
    place = (
        f"line {frame.lineno} of {frame.name}" if _is_users(frame) else f"{frame.name} in {Path(frame.filename).name}"
    )
    return f"  {place}: {frame.line}" if frame.line else f"  {place}"
