"""The graph layer, under the name users import; it lives in ``textgrad_rl_graphs``, one file per concept."""

from textgrad_rl_graphs import *  # noqa: F403  # its names, all of them
from textgrad_rl_graphs import __all__ as __all__
