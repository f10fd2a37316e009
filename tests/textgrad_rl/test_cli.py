"""The command line, run as a user would."""

import json
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from textgrad_rl import cli

BUILD = """
import textgrad_rl as tgr


def answer(request):
    return "Answer: 2" if "Think" in request.messages[0].content else "Answer: 3"


def rewrite(request):
    return {"backward": "Tell the solver: Think.", "rewrite": "Solve. Think."}[request.role]


class Sum(tgr.Graph):
    def __init__(self, model):
        self.solve = tgr.LLM(model, system=tgr.Prompt("Solve."), template="{question}")

    async def forward(self, question):
        return await self.solve(question=question)


def build(samples=2, critic="indicative"):
    verifier = tgr.critics.Verifier()
    return tgr.Trainer(
        Sum(tgr.FunctionModel(answer)), critic=tgr.critics.by_name(critic, verifier=verifier), metric=verifier,
        text=tgr.TextualGradientDescent(model=tgr.FunctionModel(rewrite)), samples=samples, examples_per_step=2,
        gate=tgr.Gate(examples=8), run_dir="run",
    )


def task():
    examples = [tgr.Example({"question": f"1 + 1 ({i})"}, answer="2") for i in range(40)]
    return tgr.Task("sums", train=examples[:10], gate=examples[10:20], validation=examples[20:30], test=examples[30:])
"""


def run(*args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "textgrad_rl.cli", *args]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=240, check=False)


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """The same in this process, for what ends before it starts: exit status and what was said on standard error."""

    def call(*args: str, cwd: Path) -> tuple[int, str]:
        monkeypatch.chdir(cwd)
        monkeypatch.setattr(sys, "argv", ["textgrad-rl", *args])
        monkeypatch.setattr(sys, "path", [*sys.path])
        monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
        with pytest.raises(SystemExit) as ended:
            cli.main()
        sys.modules.pop("sums", None)
        return int(ended.value.code or 0), capsys.readouterr().err

    return call


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sums.py").write_text(BUILD, "utf-8")
    return tmp_path


def test_train_then_eval_of_a_file(folder: Path) -> None:
    trained = run("train", "sums.py", "--steps", "2", "--set", "samples=3", cwd=folder)
    assert trained.returncode == 0, trained.stderr
    assert "solve.system: Solve. Think." in trained.stdout
    before = run("eval", "sums.py", cwd=folder)
    after = run("eval", "sums.py", "--run", "run", cwd=folder)
    assert "0.0%" in before.stdout
    assert "test of sums: 100.0%" in after.stdout, after.stderr
    assert json.loads((folder / "run/report.json").read_text())["steps"] == 2


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("train", "none.py"), "there is no file none.py"),
        (("train", "sums.py", "--set", "smaples=3"), "Did you mean 'samples'"),
        (("train", "sums.py", "--set", "samples"), "NAME=VALUE"),
        (("train", "sums.py", "--set", "critic=judge"), "reward-model, semantic, semantic-similarity, verifier"),
        (("train", "sums.py", "--task", "gsm9k"), "gsm8k"),
        (("eval", "sums.py", "--split", "tset"), "Did you mean 'test'"),
        (("eval", "sums.py", "--run", "elsewhere"), "holds no checkpoint"),
        (("quickstart", "--critic", "judge"), "reward-model, semantic, semantic-similarity, verifier"),
        (("quickstart", "--arms", "jiont"), "Did you mean 'joint'"),
    ],
)
def test_bad_input_ends_in_one_message(
    args: tuple[str, ...], message: str, folder: Path, main: Callable[..., tuple[int, str]]
) -> None:
    status, said = main(*args, cwd=folder)
    assert status == 2
    assert message in said
    assert "Traceback" not in said


def test_estimate_before_training(folder: Path) -> None:
    dry = run("estimate", "sums.py", "--steps", "2", cwd=folder)
    assert dry.returncode == 0, dry.stderr
    assert re.search(r"^rollout +8$", dry.stdout, re.MULTILINE)
    assert re.search(r"^calls +28 to \d+$", dry.stdout, re.MULTILINE)
    piloted = run("estimate", "sums.py", "--steps", "2", "--pilot", "1", "--set", "samples=3", cwd=folder)
    assert re.search(r"the pilot took \d+ calls, \d+ generated tokens", piloted.stdout), piloted.stderr
    assert not (folder / "run").exists()


def test_another_configuration_is_refused_with_the_difference(folder: Path) -> None:
    assert run("train", "sums.py", "--steps", "1", cwd=folder).returncode == 0
    result = run("train", "sums.py", "--steps", "2", "--set", "samples=5", cwd=folder)
    assert result.returncode == 2
    assert "samples: there 2 x 2, here 5 x 2" in result.stderr


def test_quickstart_in_short(tmp_path: Path) -> None:
    result = run("quickstart", "--steps", "1", "--test-examples", "20", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    summary = json.loads((tmp_path / "runs/quickstart/summary.json").read_text())
    assert summary["before"]["n"] == summary["after"]["n"] == 20
    assert summary["overlap"] == 0
    assert summary["generated_tokens"] > 0
    assert (tmp_path / "runs/quickstart/accuracy.png").read_bytes().startswith(b"\x89PNG")
    assert re.search(r"critique +\S", result.stdout)
    assert "Solve step by step." in result.stdout
