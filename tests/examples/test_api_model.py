"""The example for API models, against a real HTTP server whose solver follows only the rules that its prompt states."""

import json
import re
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.openai_server import Messages, serve

EXAMPLES = Path(__file__).parents[2] / "examples"
LINES = (EXAMPLES / "data" / "support_messages.jsonl").read_text(encoding="utf-8").splitlines()
ROWS = {row["message"]: row for row in map(json.loads, LINES)}
TEAMS = ["account", "billing", "delivery", "returns"]


def reply(messages: Messages, body: dict[str, Any]) -> str:
    """Play every role in JSON: a critic that names the rule, feedback that passes it on, a rewriter that adds it."""
    system, user = messages[0]["content"], messages[-1]["content"]
    if system.startswith("You are a strict critic"):
        return json.dumps({"critique": f"Broken: {user.rpartition('Solution: ')[2]}", "verdict": "wrong"})
    if system.startswith("You improve a program"):
        return json.dumps({"system": re.search(r"Broken: (.*)", user)[1]})  # type: ignore[index]
    if system.startswith("You improve a prompt"):
        old = re.search(r"<prompt>\n(.*?)\n</prompt>", user, re.DOTALL)[1]  # type: ignore[index]
        rules = re.findall(r"<feedback[^>]*>\n(.*?)\n</feedback>", user, re.DOTALL)
        return json.dumps({"prompt": " ".join([old, *rules])})
    row = ROWS[user]
    knows = row["rule"].startswith("Questions") or row["rule"] in system
    return "Answer: " + (row["team"] if knows else TEAMS[TEAMS.index(row["team"]) - 1])


def test_the_data_are_sound() -> None:
    assert len(LINES) == len(ROWS) >= 60
    assert {row["team"] for row in ROWS.values()} == set(TEAMS)
    assert all(row["team"] in row["rule"] for row in ROWS.values())


def test_the_prompt_learns_the_house_rules(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with serve(reply) as server:
        monkeypatch.setattr(sys, "argv", ["api_model.py", "--model", f"{server.url}#stub", "--steps", "2"])
        runpy.run_path(str(EXAMPLES / "api_model.py"), run_name="__main__")
    said = capsys.readouterr().out
    before, after = (float(share) for share in re.findall(r"(?:before|after): +([\d.]+)%", said))
    assert before < 60 < after
    assert "route.system: accepted" in said
    assert "A broken or wrong item goes to returns" in said
    assert len(server.requests) < 2 * 80 + 2 * 19  # what the example's docstring promises, and two evaluations
