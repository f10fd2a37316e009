"""What a run will cost, before it is paid for.

The first steps of the run are done dry: the trainer's own code runs with stand-ins for all models, once as if every
response were right and once as if every one were wrong. Where both make the same calls, and ``forward`` does not look
at answers, the count is exact. Else it lies between the two, and a pilot narrows it: four small steps with the real
models, in which prompts may change. With F the calls that are sure and V those of the pilot beyond them, scaled to the
run, the interval is ``[F + V / s, F + V s]``. The factor s by which the run may differ from the pilot is 3, or less
where high would exceed twice low: ``s = (F + sqrt(F^2 + 8 V^2)) / 2 V``, which is 1.41 when nothing is sure.

Left out: what answers that cannot be read cost, without a pilot (each is asked for again); updates of weights, in the
pilot; what a journal or a cache answers; prices without a pilot. A run that goes on is counted from its start.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from textgrad_rl.tasks.task import Task
from textgrad_rl.trainer.pilot import NOTHING, run_pilot, scaled
from textgrad_rl.trainer.probe import PROBED_STEPS, evaluation_usage, evaluations, probing, step_usage
from textgrad_rl.trainer.stand_in import StandIn, looks_at_answers
from textgrad_rl_graphs.context import surrounded
from textgrad_rl_graphs.errors import ConfigError
from textgrad_rl_graphs.sync import blocking
from textgrad_rl_graphs.types import Usage

if TYPE_CHECKING:
    from textgrad_rl.trainer.trainer import Trainer

_MOST_SPREAD = 3.0


@final
@dataclass(frozen=True, slots=True)
class Range:
    """An interval, both ends included. Ranges add with ``+``."""

    low: float = 0
    high: float = 0

    def __add__(self, other: Range) -> Range:
        """Return the range of the sum."""
        return Range(self.low + other.low, self.high + other.high)

    def __str__(self) -> str:
        """Show one number or two."""
        digits = 0 if self.high >= 10 or {self.low, self.high} <= {round(self.low), round(self.high)} else 2
        shown = [f"{end:,.{digits}f}" for end in (self.low, self.high)]
        return shown[0] if shown[0] == shown[1] else f"{shown[0]} to {shown[1]}"


@final
@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run will ask of models.

    Attributes:
        steps: of the run.
        calls: by phase, as in ``Report.usage``.
        exact: whether their number is known, as long as every answer can be read at once.
        tokens: generated tokens, or None where nothing tells: no pilot, and requests without ``max_tokens``.
        usd: dollars; None without a pilot.
        pilot: what the pilot took; None without one.
        notes: what to know about the numbers.
    """

    steps: int
    calls: Mapping[str, Range]
    exact: bool
    tokens: Range | None = None
    usd: Range | None = None
    pilot: Usage | None = None
    notes: tuple[str, ...] = ()

    @property
    def total(self) -> Range:
        """Calls of all phases."""
        return sum(self.calls.values(), Range())

    def __str__(self) -> str:
        """Show a table: a line per phase, then the sums."""
        lines = [f"{phase:10} {calls}" for phase, calls in self.calls.items() if calls.high]
        lines.append(f"{'calls':10} {self.total}{' (exact)' * self.exact}")
        lines += [
            f"{name:10} {item}" for name, item in (("tokens", self.tokens), ("usd", self.usd)) if item is not None
        ]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


async def aestimate(trainer: Trainer, task: Task, *, steps: int = 100, pilot: int = 0) -> Estimate:
    """Return how many calls ``trainer.fit(task, steps=steps)`` will make, how many tokens and dollars.

    Nothing is paid without a pilot, and the trainer is left as it was. Functions with effects are not run in the dry
    steps; in a pilot they are.

    Args:
        trainer: as it would be trained.
        task: as it would be trained on.
        steps: as for ``fit``.
        pilot: examples per step of the pilot; 0 for none.

    Raises:
        ConfigError: for negative numbers.
        DataError: for empty splits.

    >>> import textgrad_rl as tgr
    >>> class Reply(tgr.Graph):
    ...     def __init__(self, model):
    ...         self.reply = tgr.LLM(model, system=tgr.Prompt("Answer."))
    ...     async def forward(self, question):
    ...         return await self.reply(question=question)
    >>> model, verifier = tgr.FunctionModel(lambda request: "Answer: 2"), tgr.critics.Verifier()
    >>> task = tgr.Task("sums", train=[tgr.Example({"question": "1 + 1"}, answer="2")])
    >>> optimizer = tgr.TextualGradientDescent(model=model)
    >>> trainer = tgr.Trainer(Reply(model), critic=verifier, text=optimizer, gate=None, samples=4, examples_per_step=5)
    >>> estimate = tgr.estimate(trainer, task, steps=3)
    >>> estimate.exact, estimate.total.high  # a verifier writes no critiques: 3 steps of 4 x 5 calls
    (True, 60)
    """
    if steps < 0 or pilot < 0:
        raise ConfigError(f"steps and pilot must be at least 0, got {steps} and {pilot}")
    trainer.check_data(task)
    right, wrong = [await _dry(trainer, task, steps, right=side) for side in (True, False)]
    failure = right.failure or wrong.failure
    notes = []
    if failure:
        notes.append(f"the calls that follow this failure on a stand-in's answer are not counted: {failure}")
    if looks := looks_at_answers(trainer.graph):
        notes.append("forward looks at answers, so the calls it makes may depend on them")
    known = not failure and not looks
    bounds = {
        phase: Range(*sorted(side.usage.get(phase, Usage()).calls for side in (right, wrong)))
        for phase in sorted({*right.usage, *wrong.usage})
    }
    if not pilot:
        exact = known and all(item.low == item.high for item in bounds.values())
        if not exact:
            notes.append("a pilot narrows the range: --pilot 8, or estimate(..., pilot=8)")
        tokens = sum(usage.generated_tokens for usage in wrong.usage.values())
        return Estimate(steps, bounds, exact, Range(0, tokens) if known and wrong.bounded else None, notes=tuple(notes))
    measured = await run_pilot(trainer, task, steps, pilot)
    costs = scaled(measured, trainer, task, steps)
    calls, exact = _narrowed(bounds, {phase: cost.calls for phase, cost in costs.items()}, known=known)
    whole = sum(costs.values(), NOTHING)
    return Estimate(
        steps, calls, exact, _within_two(whole.tokens), _within_two(whole.usd), measured.paid, tuple(notes)
    )  # fmt: skip


estimate = blocking(aestimate)


def spread(sure: float, rest: float) -> float:
    """Return the factor s for which ``sure + rest * s`` is twice ``sure + rest / s``, at most 3.

    >>> round(spread(0, 100), 3), round(spread(100, 100), 3), spread(100, 1)
    (1.414, 2.0, 3.0)
    """
    if not rest:
        return 1.0
    return min(_MOST_SPREAD, (sure + math.hypot(sure, math.sqrt(8) * rest)) / (2 * rest))


def _narrowed(
    bounds: Mapping[str, Range], counts: Mapping[str, float], *, known: bool
) -> tuple[dict[str, Range], bool]:
    """Return calls by phase from the dry bounds and a pilot's counts, and whether they are exact.

    What both sides of the dry run agree on is sure, unless the pilot took more: answers that could not be read.
    """
    phases = sorted({*bounds, *counts})
    dry = {phase: bounds.get(phase, Range()) if known else Range(0, math.inf) for phase in phases}
    rest = {
        phase: counts.get(phase, 0.0)
        for phase, item in dry.items()
        if item.low != item.high or round(counts.get(phase, 0.0)) > item.high
    }
    factor = spread(sum(item.high for phase, item in dry.items() if phase not in rest), sum(rest.values()))
    calls = dict(dry)
    for phase, count in rest.items():
        low = max(dry[phase].low, count / factor)
        calls[phase] = Range(low, max(low, count * factor))
    return calls, not rest


def _within_two(amount: float) -> Range:
    return Range(amount / math.sqrt(2), amount * math.sqrt(2))


@dataclass(frozen=True, slots=True)
class _Dry:
    """A run on stand-ins: usage by phase, whether every answer has a limit, and what could not run."""

    usage: Mapping[str, Usage]
    bounded: bool
    failure: str


async def _dry(trainer: Trainer, task: Task, steps: int, *, right: bool) -> _Dry:
    """Run the first steps on stand-ins; later ones are taken to be like the cheapest, or dearest, of these."""
    source, pick = StandIn(right=right), min if right else max
    seen: list[Mapping[str, Usage]] = []
    evaluation, failure = Usage(), ""
    with probing(trainer) as probe, surrounded(source=source, session=None, cache=None, recording=None):
        try:
            for step in range(1, min(steps, PROBED_STEPS) + 1):
                usage, outcome = await step_usage(probe, task, step)
                failures = [trace.failure for trace in outcome.traces if trace.failure is not None]
                failure = failure or (f"{failures[0].where}: {failures[0].reason}" if failures else "")
                if right and any(item.correct is False for item in outcome.feedback):
                    usage = {"rollout": usage["rollout"]}  # the metric took no answer for right: nothing else is sure
                seen.append(usage)
            evaluation = await evaluation_usage(probe, task, trainer.evaluate_examples)
        except Exception as error:  # what code of the graph makes of a stand-in's answer
            failure = f"{type(error).__name__}: {error}"
    totals = {"evaluate": Usage.sum([evaluation] * evaluations(trainer, steps))}
    for phase in {phase for usage in seen for phase in usage}:
        costs = [usage.get(phase, Usage()) for usage in seen]
        later = pick(costs, key=lambda usage: usage.calls)
        totals[phase] = Usage.sum([*costs, *[later] * (steps - len(costs))])
    return _Dry(totals, source.bounded, failure)
