"""Steps on loan: what parts of a trainer's run take, without leaving a trace in the trainer."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from textgrad_rl.tasks.task import Task
from textgrad_rl.trainer.evaluation import judged_runs
from textgrad_rl_graphs.session import Session
from textgrad_rl_graphs.types import Usage

if TYPE_CHECKING:
    from textgrad_rl.trainer.phases import StepOutcome
    from textgrad_rl.trainer.trainer import Trainer


PROBED_STEPS = 4
"""How many of a run's first steps are looked at."""


@contextmanager
def probing(trainer: Trainer, **settings: Any) -> Iterator[Trainer]:
    """Lend a copy of a trainer; prompts and the optimizers' memories are afterwards as before, and warnings unheard."""
    probe = copy.copy(trainer)
    vars(probe).update(settings)
    texts = {path: prompt.text for path, prompt in trainer.prompts.items()}
    memories = {path: copy.deepcopy(optimizer.state()) for path, optimizer in trainer.text.items()}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield probe
    finally:
        for path, text in texts.items():
            trainer.prompts[path].text = text
        for path, memory in memories.items():
            trainer.text[path].load_state(memory)


async def step_usage(probe: Trainer, task: Task, step: int) -> tuple[Mapping[str, Usage], StepOutcome]:
    """Run a step without an update of weights; return its usage by phase."""
    session = Session()
    outcome = await probe.astep(step, task, session, update_weights=False)
    return dict(session.usage), outcome


async def evaluation_usage(probe: Trainer, task: Task, examples: int | None) -> Usage:
    """Return what an evaluation on so many examples takes."""
    if probe.evaluate_every is None or probe.metric is None:
        return Usage()
    session = Session()
    with session.phase("evaluate"):
        await judged_runs(probe.graph, task.validation[:examples], probe.metric, samples=1, seed=probe.seed, step=0)
    return session.total()


def evaluations(trainer: Trainer, steps: int) -> int:
    """Return how many evaluations a run has: step 0, every so many, and the last."""
    if trainer.evaluate_every is None:
        return 0
    return sum(step % trainer.evaluate_every == 0 or step == steps for step in range(steps + 1))
