import json

import pytest

from textgrad_rl.trainer.evaluation import Evaluation
from textgrad_rl.trainer.phases import StepOutcome
from textgrad_rl.trainer.plot import Point, plot_curves
from textgrad_rl.trainer.report import Report, StepReport
from textgrad_rl.trainer.step_files import read_report, step_files
from textgrad_rl_graphs.errors import DataError
from textgrad_rl_graphs.types import Usage

BEFORE = Evaluation(0.25, 0.1, 0.5, 12, unscored=1)
AFTER = Evaluation(0.75, 0.5, 0.9, 12)


def run(*evaluations):
    history = [
        StepReport(step, len(evaluations) - 1, {"reward": 0.5}, evaluation=item, usage=Usage(0, 100 * step, step))
        for step, item in enumerate(evaluations)
    ]
    usage = {"rollout": Usage(50, 150, 9), "gate": Usage(5, 50, 3), "evaluate": Usage(7, 70, 4)}
    return Report(history, problems=["all groups are dead"], usage=usage, seconds=3.0)


def test_the_summary_is_json_and_keeps_evaluation_apart():
    report = run(BEFORE, None, AFTER)
    assert report.generated_tokens == 200
    assert report.evaluations == [(0, BEFORE), (2, AFTER)]
    assert json.loads(json.dumps(report.summary())) == {
        "steps": 2,
        "stopped": "all steps done",
        "problems": ["all groups are dead"],
        "generated_tokens": 200,
        "usage": {
            "evaluate": {"calls": 4, "generated": 70, "prompt": 7},
            "gate": {"calls": 3, "generated": 50, "prompt": 5},
            "rollout": {"calls": 9, "generated": 150, "prompt": 50},
        },
        "validation": {
            "0": {"mean": 0.25, "low": 0.1, "high": 0.5, "n": 12, "unscored": 1},
            "2": {"mean": 0.75, "low": 0.5, "high": 0.9, "n": 12, "unscored": 0},
        },
    }
    assert Report().summary()["steps"] == 0


def test_a_report_comes_back_from_its_step_file():
    for item in (
        StepReport(3, 9, {"reward": 0.5}, ["a: accepted"], BEFORE, Usage(1, 2, 3)),
        StepReport(0, 9, {}, evaluation=None),
    ):
        record = json.loads(step_files(item, StepOutcome(), {"a": "Solve."}, [])["step.json"])
        again = read_report(record, 9)
        assert (again.step, again.steps, again.metrics) == (item.step, 9, item.metrics)
        assert (again.evaluation, again.usage, list(again.prompts)) == (item.evaluation, item.usage, list(item.prompts))


@pytest.mark.parametrize(("ending", "magic"), [("png", b"\x89PNG\r\n"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_a_plot_writes_a_picture(tmp_path, ending, magic):
    path = tmp_path / f"plot.{ending}"
    run(BEFORE, None, AFTER).plot(path)
    assert path.read_bytes().startswith(magic)


def test_several_curves_are_drawn_with_their_names(tmp_path):
    points = [Point(0, 0.3, 0.25, 0.35), Point(1000, 0.9, 0.87, 0.93)]
    plot_curves({"joint": points, "prompts": points[:1], "not yet": []}, tmp_path / "arms.svg", xlabel="tokens")
    text = (tmp_path / "arms.svg").read_text()
    assert "<!-- tokens -->" in text
    assert "<!-- joint -->" in text
    assert "<!-- prompts -->" in text


def test_a_run_that_was_never_evaluated_cannot_be_drawn(tmp_path):
    with pytest.raises(DataError, match="no run was evaluated"):
        run(None, None).plot(tmp_path / "plot.png")
