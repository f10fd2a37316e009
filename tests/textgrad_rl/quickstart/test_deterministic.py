"""With deterministic=True the same run gives the same bytes, weights and all; also when it stops in between."""

from pathlib import Path

import pytest

import textgrad_rl as tgr
from textgrad_rl.quickstart.program import Solver, load_task

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*groups are dead:textgrad_rl.TrainingWarning")]


def train(run_dir: Path, task: tgr.Task, *steps: int) -> dict[str, bytes]:
    """Train to each of the steps in turn, every time with a new policy, and return the records by name."""
    for last in steps:
        policy = tgr.load_policy("pocket", deterministic=True)
        verifier = tgr.critics.Verifier(tgr.critics.reasoning_gym("chain_sum"))
        text = tgr.critics.ChainOfThought(policy, sees="nothing")
        trainer = tgr.Trainer(
            Solver(policy),
            critic=tgr.critics.Combine(verifier, verifier, text),
            metric=verifier,
            text=tgr.TextualGradientDescent(model=policy),
            weights=tgr.CritiqueGRPO(learning_rate=1e-3),
            refine=tgr.Refine(),
            gate=tgr.Gate(examples=8, alpha=0.4),
            samples=3,
            examples_per_step=4,
            evaluate_every=1,
            evaluate_examples=8,
            run_dir=run_dir,
            deterministic=True,
        )
        trainer.fit(task, steps=last)
    files = sorted((run_dir / "steps").rglob("*.json*"))
    return {str(path.relative_to(run_dir)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def task() -> tgr.Task:
    return load_task()


def test_same_seed_same_bytes_and_a_resumed_run_goes_on_as_if_nothing_had_been(tmp_path: Path, task: tgr.Task) -> None:
    straight = train(tmp_path / "straight", task, 3)
    assert len(straight) == 12
    assert b'"weight_version":2' in straight["steps/000003/calls.jsonl"]
    assert train(tmp_path / "again", task, 3) == straight
    assert train(tmp_path / "resumed", task, 1, 3) == straight
