"""Groups without a difference in score are replaced by fresh examples."""

import json

import pytest

import textgrad_rl as tgr
from tests.support import toy
from tests.support.scripted import ScriptedCritic
from textgrad_rl.trainer.diagnosis import TrainingWarning
from textgrad_rl_graphs.errors import ConfigError
from textgrad_rl_graphs.feedback import Feedback


def judge(case):
    """Questions with an even first number are solved by every sample, others by the first one only."""
    a = int(case.example.inputs["question"].split("+")[0])
    return Feedback(score=float(a % 2 == 0 or case.trace.sample == 0), correct=True)


def hopeless(case):
    return Feedback(score=0.0, correct=False)


def trainer(policy, critic, **settings):
    defaults = {"text": None, "weights": tgr.GRPO(), "metric": None, "evaluate_every": None}
    return toy.trainer(policy, critic=ScriptedCritic(critic), **{**defaults, **settings})


def task():
    """Half of the questions are too easy."""
    examples = [
        tgr.Example({"question": f"{a}+{b}"}, answer=str(a + b), id=f"{a}+{b}") for a in range(8) for b in (1, 2)
    ]
    return tgr.Task("sums", train=examples)


def test_dead_groups_are_replaced_and_what_was_thrown_away_is_recorded_and_counted(tmp_path):
    policy = toy.ToyPolicy()
    report = trainer(policy, judge, refill=8, run_dir=tmp_path).fit(task(), steps=1)
    metrics = report.history[-1].metrics
    assert (metrics["samples"], metrics["groups"], metrics["dead_groups"]) == (12, 4, 0)
    assert metrics["refilled"] > 0
    (rows, _), *_ = policy.batches
    assert len(rows) == 12
    assert {int(row.group.split("/")[1].split("+")[0]) % 2 for row in rows} == {1}
    lines = (tmp_path / "steps" / "000001" / "calls.jsonl").read_text("utf-8").splitlines()
    assert len(lines) == len(policy.log) == 12 + 3 * metrics["refilled"]
    assert len({json.loads(line)["example_id"] for line in lines}) == 4 + metrics["refilled"]
    assert report.history[-1].usage.calls == len(policy.log)
    thrown = json.loads((tmp_path / "steps" / "000001" / "step.json").read_text("utf-8"))["thrown"]
    assert len(thrown) == 3 * metrics["refilled"]
    replayed = tgr.critics.Replay(tmp_path).critique([case_of(record) for record in thrown])
    assert [item.score for item in replayed] == [record["score"] for record in thrown]


def case_of(record):
    """Return the case of a record again."""
    example = next(item for item in task().train if item.key == record["example_id"])
    return tgr.Case.of_text(example, record["output"])


def test_refilling_ends_after_so_many_turns_or_without_fresh_examples():
    for refill, asked in ((0, 12), (2, 36), (9, 48)):  # 16 examples in turns of four
        policy = toy.ToyPolicy()
        with pytest.warns(TrainingWarning, match="dead"):
            report = trainer(policy, hopeless, refill=refill).fit(task(), steps=1)
        assert len(policy.log) == asked
        assert report.history[-1].metrics["dead_groups"] == 4


def test_a_run_that_refills_repeats():
    runs = []
    for _ in range(2):
        policy = toy.ToyPolicy()
        trainer(policy, judge, refill=3).fit(task(), steps=2)
        runs.append([[row.source for row in rows] for rows, _ in policy.batches])
    assert runs[0] == runs[1]


def test_refill_cannot_be_negative():
    with pytest.raises(ConfigError, match="refill must be at least 0"):
        trainer(toy.ToyPolicy(), judge, refill=-1)
