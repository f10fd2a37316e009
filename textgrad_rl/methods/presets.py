"""Presets: published methods by name, as settings of the Trainer.

    grpo                    https://arxiv.org/abs/2402.03300
    critique-grpo/paper     https://arxiv.org/abs/2506.03106, latest version
    critique-grpo/released  its released code

Where they differ: the paper refines only prompts with zero correct responses, adds the kept refinement to the group,
does not divide by the standard deviation and clips; the released code refines every response, puts the first
refinement into slot 0, divides by the standard deviation and does not clip. Two things of the released code are not
copied: its default that overwrites *all* slots with one refinement (every advantage is then 0), and its averaging,
which depends on the batch size; constant-length averaging stands in its place. What the paper does with prompts that
are partly solved (whether their group keeps n samples) is not stated; here it does.
"""

from __future__ import annotations

from typing import Any

from textgrad_rl.methods.critique_grpo import CritiqueGRPO
from textgrad_rl.methods.grpo import GRPO
from textgrad_rl_graphs.errors import UnknownNameError
from textgrad_rl_graphs.refine import Refine

_RESPONSE_TOKENS = 8192  # the response length of the paper's experiments


def preset(name: str) -> dict[str, Any]:
    """Return the Trainer's settings ``samples``, ``refine`` and ``weights`` of a published method.

    >>> preset("critique-grpo/paper")["samples"]
    7

    Raises:
        UnknownNameError: with the names there are.
    """
    presets: dict[str, dict[str, Any]] = {
        "grpo": {"samples": 8, "refine": None, "weights": GRPO()},
        "critique-grpo/paper": {
            "samples": 7,
            "refine": Refine(trigger="zero_correct", keep=1, select="correct_first"),
            "weights": CritiqueGRPO(clip_refinements=True),
        },
        "critique-grpo/released": {
            "samples": 7,
            "refine": Refine(trigger="all", keep=1, select="correct_or_first", replace=True),
            "weights": CritiqueGRPO(
                scale="std", clip_low=None, clip_high=None, aggregation="constant_length", length=_RESPONSE_TOKENS
            ),
        },
    }
    if name not in presets:
        raise UnknownNameError("preset", name, presets)
    return presets[name]
