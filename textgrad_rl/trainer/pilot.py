"""A pilot: a few small steps with the real models, and what a whole run would take at their rates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from textgrad_rl.tasks.task import Task
from textgrad_rl.text.gate import Gate, GateVerdict
from textgrad_rl.trainer.probe import PROBED_STEPS, evaluation_usage, evaluations, probing, step_usage
from textgrad_rl_graphs.types import Example, Usage

if TYPE_CHECKING:
    from textgrad_rl.trainer.trainer import Trainer

_GATE_PAIRS = 4
"""Gate examples per example of a step."""


@final
@dataclass(frozen=True, slots=True)
class Cost:
    """A usage scaled to the size of a run."""

    calls: float = 0
    tokens: float = 0
    usd: float = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.calls + other.calls, self.tokens + other.tokens, self.usd + other.usd)

    def __mul__(self, factor: float) -> Cost:
        return Cost(self.calls * factor, self.tokens * factor, self.usd * factor)


NOTHING = Cost()


@final
@dataclass(frozen=True, slots=True)
class Pilot:
    """What small steps took.

    Attributes:
        steps: usage by phase, a step each.
        settled: how many of them there were when the prompts last changed.
        evaluation: usage of one small evaluation.
        examples: per step and per evaluation.
    """

    steps: list[Mapping[str, Usage]]
    settled: int
    evaluation: Usage
    examples: int

    @property
    def paid(self) -> Usage:
        return Usage.sum([self.evaluation, *(usage for step in self.steps for usage in step.values())])


async def run_pilot(trainer: Trainer, task: Task, steps: int, examples: int) -> Pilot:
    """Run small steps with the real models."""
    examples = min(examples, trainer.examples_per_step)
    gate = None if trainer.gate is None else _small_gate(trainer.gate, examples)
    found, settled = [], 0
    with probing(trainer, examples_per_step=examples, gate=gate) as probe:
        for step in range(1, min(steps, PROBED_STEPS) + 1):
            usage, outcome = await step_usage(probe, task, step)
            found.append(usage)
            if any(decision.accepted for decision in outcome.decisions):
                settled = step
        return Pilot(found, settled, await evaluation_usage(probe, task, examples), examples)


def scaled(pilot: Pilot, trainer: Trainer, task: Task, steps: int) -> dict[str, Cost]:
    """Return what the run takes at the pilot's rates; later steps are like the mean since the prompts last changed."""
    times = trainer.examples_per_step / pilot.examples
    asked = sum("rewrite" in usage for usage in pilot.steps) / max(1, len(pilot.steps))
    # A step that has more examples has one that asks for a new prompt more often: 1 - (1 - asked) ** times.
    often = (1 - (1 - asked) ** times) / asked if asked else 1.0
    factors = {"rewrite": often, "gate": often}
    if trainer.gate is not None:
        sizes = (trainer.gate.examples, _small_gate(trainer.gate, pilot.examples).examples)
        whole_gate, small_gate = (min(size, len(task.gate)) for size in sizes)
        factors["gate"] *= whole_gate / small_gate
    tail = pilot.steps[pilot.settled :] or pilot.steps[-1:]
    costs: dict[str, Cost] = {}
    for phase in {phase for usage in pilot.steps for phase in usage}:
        first, later = (sum((_cost(usage, phase) for usage in part), NOTHING) for part in (pilot.steps, tail))
        whole = first + later * ((steps - len(pilot.steps)) / len(tail))
        costs[phase] = whole * factors.get(phase, times)
    if number := evaluations(trainer, steps):
        share = len(task.validation[: trainer.evaluate_examples]) / len(task.validation[: pilot.examples])
        costs["evaluate"] = _cost({"": pilot.evaluation}, "") * (share * number)
    return costs


@dataclass(frozen=True, slots=True)
class _SmallGate:
    """A gate with fewer examples that decides as the whole one would if the rest came out alike."""

    whole: Gate
    examples: int

    def rotation(self, split: Sequence[Example], turn: int) -> list[Example]:
        return Gate(examples=self.examples, alpha=self.whole.alpha).rotation(split, turn)

    def judge(self, old: Sequence[float | None], new: Sequence[float | None]) -> GateVerdict:
        times = max(1, round(self.whole.examples / len(old)))
        return self.whole.judge([*old] * times, [*new] * times)


def _small_gate(gate: Gate, examples: int) -> _SmallGate:
    """Return the gate of a pilot: some pairs per example of its steps, and enough that something could pass."""
    enough = math.ceil(math.log2(1 / gate.alpha))
    return _SmallGate(gate, min(gate.examples, max(enough, _GATE_PAIRS * examples)))


def _cost(usage: Mapping[str, Usage], phase: str) -> Cost:
    item = usage.get(phase, Usage())
    return Cost(item.calls, item.generated_tokens, item.usd)
