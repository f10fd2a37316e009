"""What makes two runs the same run, as names and short texts.

Steps, budget, cadence, callbacks and device may change when a run is continued; anything here may not.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import TYPE_CHECKING

from textgrad_rl_graphs.hashing import digest
from textgrad_rl_graphs.model import Model
from textgrad_rl_graphs.node import LLM, text_of
from textgrad_rl_graphs.node_feedback import node_critics
from textgrad_rl_graphs.prompt import Prompt

if TYPE_CHECKING:
    from textgrad_rl.trainer.trainer import Trainer


def fingerprint(trainer: Trainer) -> dict[str, str]:
    """Return the identity of a trainer before it starts; the data's digest is added when it is known."""
    nodes = trainer.graph.nodes()
    structure = [
        (path, type(node).__name__, *((node.model.name, node.sampling, node.demos) if isinstance(node, LLM) else ()))
        for path, node in nodes.items()
    ]
    frozen = [
        text_of(text)
        for node in nodes.values()
        if isinstance(node, LLM)
        for text in (node.system, node.template)
        if text is not None and not isinstance(text, Prompt)
    ]
    said = [(prompt.describe, prompt.constraints) for prompt in trainer.prompts.values()]
    found = {
        "graph": f"{type(trainer.graph).__name__} {digest(structure, frozen, said)}",
        "parameters": ", ".join((*trainer.prompts, *trainer.policies)),
        "critic": describe(trainer.critic),
        "metric": describe(trainer.metric),
        "text": ", ".join(f"{path}: {item}" for path, item in trainer.text.items()) or "none",
        "weights": ", ".join(f"{path}: {item}" for path, item in trainer.weights.items()) or "none",
        "refine": describe(trainer.refine),
        "refill": str(trainer.refill),
        "gate": str(trainer.gate),
        "credit": trainer.credit,
        "samples": f"{trainer.samples} x {trainer.examples_per_step}",
        "seed": str(trainer.seed),
        "deterministic": str(trainer.deterministic),
    }
    found |= {f"first text of {path}": prompt.text for path, prompt in trainer.prompts.items()}
    found |= {f"critic of {path}": describe(critic) for path, critic in node_critics(trainer.graph).items()}
    if trainer.policies:
        import torch

        found["threads"] = str(torch.get_num_threads())
    return found


def describe(item: object) -> str:
    """Return a setting as text that is the same in every process: no addresses, models by their name.

    >>> import textgrad_rl as tgr
    >>> describe(tgr.Refine(model=tgr.FunctionModel(str, name="judge")))[:40]
    "Refine(trigger='zero_correct', keep=1, s"
    """
    if item is None or isinstance(item, str | int | float | bool):
        return repr(item)
    if isinstance(item, Model):
        return f"model {item.name}"
    if isinstance(item, Mapping):
        return f"{{{', '.join(f'{name}: {describe(part)}' for name, part in item.items())}}}"
    if isinstance(item, list | tuple | set | frozenset):
        return f"[{', '.join(describe(part) for part in item)}]"
    if callable(item) and hasattr(item, "__qualname__"):
        return str(item.__qualname__)
    if is_dataclass(item):
        parts = {entry.name: getattr(item, entry.name) for entry in dataclasses.fields(item)}
    else:
        # What starts with an underscore is derived, or a cache.
        parts = {name: part for name, part in getattr(item, "__dict__", {}).items() if not name.startswith("_")}
    return f"{type(item).__name__}({', '.join(f'{name}={describe(part)}' for name, part in parts.items())})"
