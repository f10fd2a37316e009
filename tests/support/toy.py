"""A world for the trainer where instructions help: sums, and a function that adds better the better its prompt."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import textgrad_rl as tgr
from tests.support.scripted import ScriptedModel
from textgrad_rl.methods.losses import Loss
from textgrad_rl.policies.optimizer import Optimizer
from textgrad_rl.policies.rows import Row
from textgrad_rl_graphs.types import Request

DIRECTIVES = ("Carry.", "Check.")


def answer(request: Request) -> str:
    """Play every role; a function of the request alone."""
    draw, said = random.Random(request.seed), request.messages[-1].content
    if request.role == "solve":
        a, b = map(int, said.split("+"))
        chance = 0.3 + sum(0.35 for word in DIRECTIVES if word in request.messages[0].content)
        return f"Answer: {a + b + (draw.random() >= chance)}"
    if request.role == "critique":
        return "It is off by one. Verdict: wrong"
    if request.role == "refine":
        return "Answer: 0"
    if request.role == "backward":
        return f"Tell the solver: {draw.choice(DIRECTIVES)}"
    prompt = said.split("\n")[0].removeprefix("Prompt: ")
    return " ".join([prompt, *(word for word in DIRECTIVES if word in said and word not in prompt)])


class Adder(tgr.Graph):
    """One node."""

    def __init__(self, model: Any, prompt: str | tgr.Prompt = "Solve.") -> None:
        self.solve = tgr.LLM(model, system=tgr.Prompt(prompt) if isinstance(prompt, str) else prompt)

    async def forward(self, question: Any) -> Any:
        return await self.solve(question=question)


def sums(first: int = 20, gate: int = 32, validation: int = 12) -> tgr.Task:
    """Return a task of sums."""
    examples = [tgr.Example({"question": f"{a}+{b}"}, answer=str(a + b)) for a in range(30) for b in range(10)]
    test = first + gate + validation
    return tgr.Task(
        "sums",
        train=examples[:first],
        gate=examples[first : first + gate],
        validation=examples[first + gate : test],
        test=examples[test : test + 12],
    )


def critic(model: Any) -> tgr.critics.Combine:
    """Return a verifier's score with a critique of the model."""
    verifier = tgr.critics.Verifier()
    return tgr.critics.Combine(verifier, verifier, tgr.critics.ChainOfThought(model, sees="nothing"))


def trainer(model: Any, graph: tgr.Graph | None = None, **settings: Any) -> tgr.Trainer:
    """Return a small trainer of the prompt."""
    defaults = {
        "critic": critic(model),
        "metric": tgr.critics.Verifier(),
        "text": tgr.TextualGradientDescent(model=model),
        "gate": tgr.Gate(examples=16),
        "samples": 3,
        "examples_per_step": 4,
        "evaluate_every": 3,
        "checkpoint_every": 3,
    }
    return tgr.Trainer(graph or Adder(model), **{**defaults, **settings})


@dataclass
class ToyPolicy(ScriptedModel):
    """A policy whose weights are one number, the sum of its updates; what it was trained on is kept."""

    script: Any = answer
    dialect: Any = "plain"
    trainable: bool = True
    weights: float = 0.0
    gradient: float = 0.0
    scale: float = 1.0
    batches: list[tuple[Sequence[Row], Loss]] = field(default_factory=list)
    deterministic: bool = False

    def forward_backward(self, rows: Sequence[Row], loss: Loss, *, old_log_probs: Any = None) -> dict[str, float]:
        weights = loss.row_weights(rows)
        terms = (weight * row.advantage * len(row.output_ids) for weight, row in zip(weights, rows, strict=True))
        self.gradient += self.scale * sum(abs(term) for term in terms)
        self.batches.append((rows, loss))
        return {"loss": -self.gradient}

    def optimizer_step(self, config: Optimizer) -> dict[str, float]:
        norm, self.gradient = self.gradient, 0.0
        self.weights += config.learning_rate * norm
        return {"grad_norm": norm, "learning_rate": config.learning_rate}

    def publish(self) -> None:
        self.weight_version += 1

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "weights.txt").write_text(f"{self.weights} {self.weight_version}")

    def load(self, folder: Path) -> None:
        weights, version = (folder / "weights.txt").read_text().split()
        self.weights, self.weight_version = float(weights), int(version)
