"""Every benchmark runs in its quick form where no peer is installed, and writes the rows it promises."""

import importlib
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
import venv
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
NAMES = sorted(script.stem for script in (ROOT / "benchmarks").glob("[a-z]*.py"))
COLUMNS = {"case", "unit", "ours", "peer", "peer_name", "ratio", "target", "met"}


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, Any]]:
    """What the quick form of a benchmark writes; each runs once."""

    @cache
    def run(name: str) -> dict[str, Any]:
        folder = tmp_path_factory.mktemp(name)
        roots = os.pathsep.join(str(ROOT / part) for part in (".", "graphs", "critics"))
        script = ROOT / "benchmarks" / f"{name}.py"
        command = [sys.executable, str(script), "--quick", "--json", "rows.json"]
        if "--peer-python" in script.read_text("utf-8"):
            venv.create(folder / "bare", symlinks=True)
            command += ["--peer-python", str(folder / "bare" / "bin" / "python")]
        environment = os.environ | {"PYTHONPATH": roots, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        result: dict[str, Any] = json.loads((folder / "rows.json").read_text("utf-8"))
        return result

    return run


def send(url: str, question: str) -> int:
    """The status of one request."""
    body = json.dumps({"model": "stub", "messages": [{"role": "user", "content": question}]}).encode()
    try:
        with urllib.request.urlopen(f"{url}/chat/completions", body) as answer:
            assert json.load(answer)["choices"][0]["message"]["content"]
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def test_the_server_counts_and_fails_the_same_requests_for_everyone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    module = importlib.import_module("_latency_server")
    with module.LatencyServer() as server:
        server.reset(latency_s=0.0)
        assert {send(server.url, f"{n}") for n in range(20)} == {200}
        assert server.counts().calls == 20
        assert server.counts().characters == sum(len(f"{n}") for n in range(20))
        outcomes = []
        for _ in range(2):  # two sides
            server.reset(latency_s=0.0, fail_share=0.3)
            outcomes.append([send(server.url, f"{n}") for n in range(40)])
        assert outcomes[0] == outcomes[1]
        failed = outcomes[0].count(500)
        assert 4 <= failed <= 20
        again = [send(server.url, f"{n}") for n, status in enumerate(outcomes[0]) if status == 500]
        assert again.count(200) > 0, "a retry can pass"
        assert server.counts().failed == failed + again.count(500)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_quick_form_writes_rows(name: str, quick: Callable[[str], dict[str, Any]]) -> None:
    result = quick(name)
    assert result.keys() == {"name", "machine", "versions", "rows"}
    assert result["name"] == name
    assert result["rows"]
    for row in result["rows"]:
        assert row.keys() == COLUMNS
        assert row["ours"] is not None


@pytest.mark.slow
def test_a_peer_that_cannot_be_run_is_a_row_that_says_so(quick: Callable[[str], dict[str, Any]]) -> None:
    rows = [row for row in quick("text_step")["rows"] if row["peer_name"].startswith(("textgrad", "gepa", "dspy"))]
    assert rows
    assert all(row["peer"] is None and "No module named" in row["peer_name"] for row in rows)


@pytest.mark.slow
def test_a_text_step_makes_no_call_too_many(quick: Callable[[str], dict[str, Any]]) -> None:
    rows = {row["case"]: row for row in quick("text_step")["rows"]}
    assert rows["one prompt, batch 16: calls"]["ours"] == 16 + 16 + 1
    assert rows["three stages, model as critic, batch 8: calls"]["ours"] == 8 * (3 + 1 + 3) + 3
    assert rows["one prompt, batch 16, again in a new process, cache on: calls"]["ours"] == 0
    (same,) = (row["ours"] for case, row in rows.items() if case.endswith("gradients as if none did"))
    assert same == 1
    (calls,) = (row for case, row in rows.items() if case.endswith("calls, to those if none did"))
    assert 1 < calls["ours"] <= calls["target"]
