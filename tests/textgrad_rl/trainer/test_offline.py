"""A whole run from a cache, and from a recording, in another process: nothing is asked, and everything is the same."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import toy
from tests.support.openai_server import serve
from textgrad_rl_graphs.types import Message, Request

ROOT = Path(__file__).parents[3]
WORKER = ROOT / "tests" / "support" / "offline_worker.py"
ROLES = {"Check": "critique", "Revise": "refine", "Give": "backward", "Improve": "rewrite"}


def reply(messages, body):
    system = messages[0]["content"]
    request = Request(
        messages=tuple(Message(item["role"], item["content"]) for item in messages),
        seed=body["seed"],
        role=ROLES.get(system.split()[0], "solve"),
    )
    return toy.answer(request)


def work(way, path, run_dir, url, hash_seed):
    roots = os.pathsep.join(str(ROOT / name) for name in (".", "graphs", "critics"))
    environment = {**os.environ, "PYTHONPATH": roots, "PYTHONHASHSEED": str(hash_seed)}
    command = [sys.executable, "-W", "error", str(WORKER), way, str(path), str(run_dir), url]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else done.stderr


def files(folder, name="*.json*"):
    return {str(path.relative_to(folder)): path.read_bytes() for path in (folder / "steps").rglob(name)}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A recorded run: its folder, what it counted, and its address, where nobody listens any more."""
    folder = tmp_path_factory.mktemp("recorded")
    with serve(reply) as server:
        found = work("record", folder / "run.jsonl", folder / "run", server.url, hash_seed=1)
        assert found["calls"] > 100
    return folder, found, server.url


def lines(path):
    return path.read_text("utf-8").splitlines()


def test_the_same_run_in_a_new_process_asks_nothing(tmp_path):
    with serve(reply) as server:
        first = work("cached", tmp_path / "cache", tmp_path / "one", server.url, hash_seed=1)
        asked = len(server.requests)
        second = work("cached", tmp_path / "cache", tmp_path / "two", server.url, hash_seed=2)
        assert len(server.requests) == asked == first["calls"] > 100
    assert (second["calls"], second["hits"]) == (0, first["calls"] + first["hits"])
    assert files(tmp_path / "two", "calls.jsonl") == files(tmp_path / "one", "calls.jsonl")
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"sk-very-secret" not in kept
    assert b"uthorization" not in kept


def test_a_replay_in_another_process_sends_the_same_bytes_to_nobody(recorded, tmp_path):
    folder, found, url = recorded
    again = work("replay", folder / "run.jsonl", tmp_path / "run", url, hash_seed=12345)
    assert again == found
    assert files(tmp_path / "run") == files(folder / "run")


def test_a_recording_holds_every_role_and_no_key(recorded):
    folder, _, _ = recorded
    found = [json.loads(line)["entry"] for line in lines(folder / "run.jsonl")]
    assert {item["request"]["role"] for item in found} == {"solve", "critique", "backward", "refine", "rewrite"}
    assert b"sk-very-secret" not in (folder / "run.jsonl").read_bytes()


def test_another_program_is_told_what_was_not_recorded(recorded, tmp_path):
    folder, _, url = recorded
    said = work("replay", folder / "run.jsonl", tmp_path / "run", url.replace("127.0.0.1", "localhost"), hash_seed=3)
    assert "holds no answer to a request of role 'solve' to http://localhost" in said
    assert "recorded 'http://127.0.0.1" in said
