"""The critics, under the name users import; they live in ``textgrad_rl_critics``, one file each."""

from textgrad_rl_critics import *  # noqa: F403  # its names, all of them
from textgrad_rl_critics import __all__ as __all__
