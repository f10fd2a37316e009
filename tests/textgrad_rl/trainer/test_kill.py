"""kill -9 at random moments: the records come out as if nothing had happened, and no answer is paid for twice."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
WORKER = ROOT / "tests" / "support" / "kill_worker.py"


def work(folder, kills, seed, hash_seed):
    folder.mkdir()
    roots = os.pathsep.join(str(ROOT / name) for name in (".", "graphs", "critics"))
    environment = {**os.environ, "PYTHONPATH": roots, "PYTHONHASHSEED": str(hash_seed)}
    command = [sys.executable, str(WORKER), str(folder), str(kills), str(seed)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def steps(run):
    return {str(path.relative_to(run)): path.read_bytes() for path in sorted((run / "steps").rglob("*.json*"))}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The run that nothing happened to: its step files, and how many calls it made."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    (found,) = work(folder, 0, 0, hash_seed=1)["runs"]
    return steps(folder / "run0"), found["calls"]


def test_the_run_that_is_killed_does_all_there_is_to_do(whole):
    files, calls = whole
    found = [json.loads(files[f"steps/{step:06d}/step.json"]) for step in range(9)]
    assert sorted(files) == [f"steps/{step:06d}/{name}" for step in range(9) for name in NAMES]
    assert calls > 300
    assert any(item["accepted"] for step in found for item in step["proposals"])
    assert any(step["refinements"] for step in found)
    assert found[0]["prompts"] != found[8]["prompts"]


NAMES = ("calls.jsonl", "cases.jsonl", "step.json")


def check_kills(whole, folder, kills, seed):
    files, calls = whole
    found = work(folder, kills, seed, hash_seed=seed + 2)
    assert found["killed"] == kills
    for number, run in enumerate(found["runs"]):
        here = folder / f"run{number}"
        mine = steps(here)
        assert sorted(mine) == sorted(files)
        assert [name for name in files if mine[name] != files[name]] == []
        halfway = run["starts"] - 1  # a kill may come between an answer and its line in the journal
        assert run["calls"] <= calls + run["in_flight"] + halfway
        assert not list(here.rglob(".*"))  # nothing half-done stays
        assert list((here / "journal").iterdir()) == []
    return found["runs"]


def test_three_kills(whole, tmp_path):
    check_kills(whole, tmp_path / "runs", kills=3, seed=1)


@pytest.mark.slow
def test_twenty_kills(whole, tmp_path):
    runs = check_kills(whole, tmp_path / "runs", kills=20, seed=2)
    assert sum(run["starts"] for run in runs) == 20 + len(runs)
    assert max(run["starts"] for run in runs) > 3  # several kills hit one run


def test_two_processes_with_other_hash_seeds_and_latencies_write_the_same_bytes(whole, tmp_path):
    work(tmp_path / "again", 0, 7, hash_seed=12345)
    assert steps(tmp_path / "again" / "run0") == whole[0]
