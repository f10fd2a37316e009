from io import StringIO

from rich.console import Console

import textgrad_rl as tgr
from tests.support import toy
from tests.support.scripted import ScriptedModel
from textgrad_rl.trainer.evaluation import Evaluation
from textgrad_rl.trainer.progress import Progress
from textgrad_rl.trainer.report import StepReport
from textgrad_rl_graphs.types import Usage

METRICS = {"reward": 0.5, "dead_groups": 1, "groups": 4, "refined": 3, "refined_right": 2}
FOUND = Evaluation(0.5, 0.25, 0.75, 12)


def printed(*reports, **options):
    out = StringIO()
    progress = Progress(Console(file=out, width=40), **options)  # narrower than a line: nothing is wrapped
    for report in reports:
        progress(report)
    return out.getvalue().splitlines()


def step(number, **fields):
    return StepReport(number, 4, METRICS, **{"usage": Usage(0, 1234, 9), "seconds": 30.0, **fields})


def test_a_line_per_step_under_one_header():
    lines = printed(StepReport(0, 4, {}, evaluation=FOUND), step(1), step(2, evaluation=FOUND))
    assert len(lines) == 4
    assert lines[0].split()[:2] == ["step", "held-out"]
    assert lines[1].split() == ["0", "50.0%", "[25.0%,", "75.0%]", "0"]
    assert lines[2].split() == ["1/4", "0.500", "1/4", "2/3", "1k", "1:30"]
    assert lines[3].split() == ["2/4", "50.0%", "[25.0%,", "75.0%]", "0.500", "1/4", "2/3", "1k", "1:00"]
    assert lines[2].index("0.500") == lines[0].index("reward")


def test_news_of_prompts_is_shown_as_written():
    lines = printed(step(1, prompts=["a: accepted: Use [bold] {braces}."]))
    assert lines[2].strip() == "a: accepted: Use [bold] {braces}."


def test_between_the_lines_that_are_wanted_only_news_is_printed():
    reports = [step(1), step(2, prompts=["news"]), step(3, evaluation=FOUND), step(4)]
    lines = printed(StepReport(0, 4, {}), *reports, every=10)
    assert [line.split()[0] for line in lines] == ["step", "0", "2/4", "news", "3/4", "4/4"]


def test_refinements_that_were_off_leave_their_cell_empty():
    assert "2/3" in printed(step(1))[1]
    (_, line) = printed(StepReport(1, 4, {**METRICS, "refined": 0, "refined_right": 0}, usage=Usage(0, 7, 1)))
    assert line.split() == ["1/4", "0.500", "1/4", "7", "0:00"]


def test_the_trainer_s_own_reports_can_be_printed():
    out = StringIO()
    model = ScriptedModel(toy.answer, dialect="plain")
    progress = tgr.Progress(Console(file=out))
    toy.trainer(model, refine=tgr.Refine(), callbacks=[progress]).fit(toy.sums(), steps=2)
    lines = out.getvalue().splitlines()
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == ["step", "0", "1/2", "2/2"]
    assert any("solve.system: accepted, gate" in line for line in lines)
