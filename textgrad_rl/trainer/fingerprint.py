"""What makes two runs the same run, as names and short texts.

Steps, budget, cadence, callbacks and device may change when a run is continued; anything here may not.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from textgrad_rl_graphs.hashing import digest
from textgrad_rl_graphs.node import LLM, text_of
from textgrad_rl_graphs.prompt import Prompt
from textgrad_rl_graphs.refine import Refine

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
        "critic": trainer.critic.name,
        "metric": "none" if trainer.metric is None else trainer.metric.name,
        "text": ", ".join(f"{path}: {item}" for path, item in trainer.text.items()) or "none",
        "weights": ", ".join(f"{path}: {item}" for path, item in trainer.weights.items()) or "none",
        "refine": _describe(trainer.refine),
        "gate": str(trainer.gate),
        "credit": trainer.credit,
        "samples": f"{trainer.samples} x {trainer.examples_per_step}",
        "seed": str(trainer.seed),
        "deterministic": str(trainer.deterministic),
    }
    found |= {f"first text of {path}": prompt.text for path, prompt in trainer.prompts.items()}
    if trainer.policies:
        import torch

        found["threads"] = str(torch.get_num_threads())
    return found


def _describe(refine: Refine | None) -> str:
    """Return the plan with its model by name: the model's own text may hold an address."""
    if refine is None or refine.model is None:
        return str(refine)
    return f"{replace(refine, model=None)} by {refine.model.name}"
