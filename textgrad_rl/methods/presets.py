"""Presets: published methods by name, as settings of the Trainer.

What each composes, its source and where it differs from the paper: ``docs/methods.md``. Critique-GRPO in short: the
paper refines only prompts with zero correct responses, adds the kept refinement to the group, does not divide by the
standard deviation and clips; the released code refines every response, puts the first refinement into slot 0, divides
by the standard deviation and does not clip. Two things of the released code are not copied: its default that
overwrites *all* slots with one refinement (every advantage is then 0), and its averaging, which depends on the batch
size; constant-length averaging stands in its place. What the paper does with prompts that are partly solved (whether
their group keeps n samples) is not stated; here it does.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from textgrad_rl.methods.cispo import BoundedWeight
from textgrad_rl.methods.critique_grpo import CritiqueGRPO
from textgrad_rl.methods.distillation import Distilled
from textgrad_rl.methods.grpo import GRPO
from textgrad_rl.methods.gspo import SequenceClip
from textgrad_rl.methods.likelihood import LogLikelihood
from textgrad_rl.methods.losses import PolicyLoss
from textgrad_rl.methods.method import Imitated, Method
from textgrad_rl.methods.sapo import SoftGate
from textgrad_rl.methods.shaping import Shaped
from textgrad_rl_graphs.errors import UnknownNameError
from textgrad_rl_graphs.refine import Refine

_RESPONSE_TOKENS = 8192  # the response length of the experiments of Critique-GRPO and LUFFY


def preset(name: str, *, learning_rate: float | None = None) -> dict[str, Any]:
    """Return the Trainer's settings ``samples``, ``refine``, ``refill`` and ``weights`` of a published method.

    ``Trainer(graph, critic=..., **preset("dapo", learning_rate=1e-5))``. The dictionary is the caller's own: any
    setting may be replaced before it is passed on.

    Args:
        name: see :func:`preset_names`.
        learning_rate: in place of the preset's 1e-6.

    >>> preset("critique-grpo/paper")["samples"]
    7

    Raises:
        UnknownNameError: with the names there are.
    """
    presets = _presets()
    if name not in presets:
        raise UnknownNameError("preset", name, presets)
    settings = {"samples": 8, "refine": None, "refill": 0, **presets[name]}
    if learning_rate is not None:
        method = settings["weights"]
        settings["weights"] = replace(method, optimizer=replace(method.optimizer, learning_rate=learning_rate))
    return settings


def preset_names() -> tuple[str, ...]:
    """Return the names of all presets, reinforcement learning first, supervised methods last."""
    return tuple(_presets())


def _presets() -> dict[str, dict[str, Any]]:
    zero_correct = Refine(trigger="zero_correct", keep=1, select="correct_first")
    incorrect = Refine(trigger="incorrect", keep=1, select="correct_first")
    return {
        "grpo": {"weights": GRPO()},
        "dr-grpo": {"weights": GRPO(scale="none", aggregation="constant_length", length=_RESPONSE_TOKENS)},
        "dapo": {"refill": 3, "weights": GRPO(clip_low=0.2, clip_high=0.28, aggregation="token_mean")},
        "gspo": {"weights": Method(loss=PolicyLoss(term=SequenceClip()))},
        "cispo": {"weights": Method(loss=PolicyLoss(term=BoundedWeight(), aggregation="token_mean"))},
        "sapo": {"weights": Method(loss=PolicyLoss(term=SoftGate()))},
        "rloo": {"weights": Method(scale="leave_one_out", loss=PolicyLoss(term=LogLikelihood()))},
        "critique-grpo/paper": {"samples": 7, "refine": zero_correct, "weights": CritiqueGRPO(clip_refinements=True)},
        "critique-grpo/released": {
            "samples": 7,
            "refine": Refine(trigger="all", keep=1, select="correct_or_first", replace=True),
            "weights": CritiqueGRPO(
                scale="std", clip_low=None, clip_high=None, aggregation="constant_length", length=_RESPONSE_TOKENS
            ),
        },
        "luffy": {
            "samples": 7,
            "weights": Method(
                scale="none",
                experts=True,
                loss=PolicyLoss(refinement=Shaped(), aggregation="constant_length", length=_RESPONSE_TOKENS),
            ),
        },
        "rltf-sd": {
            "refine": Refine(trigger="all", keep=8, select="first"),
            "weights": Method(scale="none", baseline="samples", loss=PolicyLoss(refinement=LogLikelihood())),
        },
        "sdpo": {"weights": Method(loss=PolicyLoss(term=Distilled(), aggregation="token_mean"))},
        "sft": {"samples": 1, "weights": _supervised("refinements", experts=True)},
        "raft": {"weights": _supervised("samples")},
        "refinement-ft": {"refine": incorrect, "weights": _supervised("refinements")},
        "critique-ft": {"weights": _supervised("critiques")},
        "citl-ft": {"refine": incorrect, "weights": _supervised("both")},
    }


def _supervised(imitate: Imitated, *, experts: bool = False) -> Method:
    """Return imitation by the negative log-likelihood, a mean over all tokens."""
    loss = PolicyLoss(term=LogLikelihood(), mismatch=None, aggregation="token_mean")
    return Method(scale="none", imitate=imitate, experts=experts, loss=loss)
