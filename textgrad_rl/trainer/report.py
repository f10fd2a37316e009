"""What a run tells: one report per step, and the report of the whole run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from textgrad_rl.trainer.evaluation import Evaluation
from textgrad_rl_graphs.types import Usage


@dataclass(frozen=True, slots=True)
class StepReport:
    """One step.

    Attributes:
        step, steps: number of this step (0 is the evaluation before training) and of the last one.
        metrics: numbers by name, e.g. ``reward``, ``dead_groups``, ``refined``; see docs/records.md.
        prompts: what happened to proposals, a line each.
        evaluation: on the validation split, where this step had one.
        usage: everything generated in training so far.
        seconds: wall-clock time of this step.
    """

    step: int
    steps: int
    metrics: Mapping[str, float]
    prompts: Sequence[str] = ()
    evaluation: Evaluation | None = None
    usage: Usage = field(default_factory=Usage)
    seconds: float = 0.0


@final
@dataclass(slots=True)
class Report:
    """A whole run.

    Attributes:
        history: the steps, in order.
        stopped: why it ended: ``"all steps done"`` or which budget was used up.
        problems: why it may not have learned, in words; empty when all looks well.
        usage: by phase; ``evaluate`` is apart from training.
        seconds: wall-clock time of training, evaluation included.
        hits: answers that came from a cache (:func:`textgrad_rl.cached`) and so are not in the usage.
    """

    history: list[StepReport] = field(default_factory=list)
    stopped: str = "all steps done"
    problems: list[str] = field(default_factory=list)
    usage: dict[str, Usage] = field(default_factory=dict)
    seconds: float = 0.0
    hits: int = 0

    @property
    def generated_tokens(self) -> int:
        """Tokens generated in training by any model: rollouts, critiques, refinements, backward, proposals, gate."""
        return sum(usage.generated_tokens for phase, usage in self.usage.items() if phase != "evaluate")

    @property
    def evaluations(self) -> list[tuple[int, Evaluation]]:
        """The validation results by step."""
        return [(item.step, item.evaluation) for item in self.history if item.evaluation is not None]

    def summary(self) -> dict[str, Any]:
        """Return the run in a few numbers, as JSON can hold them."""
        evaluations = self.evaluations
        return {
            "steps": self.history[-1].step if self.history else 0,
            "stopped": self.stopped,
            "problems": self.problems,
            "generated_tokens": self.generated_tokens,
            "usage": {
                phase: {"calls": item.calls, "generated": item.generated_tokens, "prompt": item.prompt_tokens}
                for phase, item in sorted(self.usage.items())
            },
            "validation": {str(step): item.record() for step, item in evaluations},
        }

    def plot(self, path: str | Path) -> None:
        """Draw held-out accuracy over steps; the file's ending picks the format."""
        from textgrad_rl.trainer.plot import Point, plot_curves

        points = [Point(step, item.mean, item.low, item.high) for step, item in self.evaluations]
        plot_curves({"": points}, path)
