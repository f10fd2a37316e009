"""The records of a real run as a critic."""

import warnings

import pytest

import textgrad_rl as tgr
from tests.support import toy
from tests.support.scripted import ScriptedModel
from textgrad_rl_graphs.errors import RecordsError
from textgrad_rl_graphs.records import read_json, read_lines


def model():
    return ScriptedModel(toy.answer, dialect="plain")


def cases_of(run):
    """What a run recorded, and the cases it was about."""
    examples = {example.key: example for example in toy.sums().train}
    records = [record for file in sorted(run.glob("steps/*/cases.jsonl")) for record in read_lines(file)]
    return records, [tgr.Case.of_text(examples[item["example_id"]], item["output"]) for item in records]


def test_what_a_run_recorded_is_given_again(tmp_path):
    toy.trainer(model(), run_dir=tmp_path, refine=tgr.Refine()).fit(toy.sums(), steps=2)
    records, cases = cases_of(tmp_path)
    assert len(records) == 24
    feedback = tgr.critics.Replay(tmp_path).critique(cases)
    for record, item in zip(records, feedback, strict=True):
        assert (item.score, item.correct, item.fault) == (record["score"], record["correct"], record["fault"])
        assert item.critique or not record["critique"]
    wrong = [item for item in feedback if not item.correct]
    assert wrong
    assert {item.critique for item in wrong} == {"It is off by one. Verdict: wrong"}


def test_the_same_run_under_its_own_records_learns_the_same_without_a_judge(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    toy.trainer(model(), run_dir=first).fit(toy.sums(), steps=2)
    asked = model()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trainer = toy.trainer(asked, critic=tgr.critics.Replay(first), run_dir=second)
        trainer.fit(toy.sums(), steps=2)
    keep = ("output", "score", "correct")
    before, after = ([{name: item[name] for name in keep} for item in cases_of(run)[0]] for run in (first, second))
    assert before == after
    assert "critique" not in {request.role for request in asked.log}


class Checked(tgr.Graph):
    """What it puts out is another text than what the model said."""

    def __init__(self, model):
        self.solve = tgr.LLM(model, system=tgr.Prompt("Solve."))
        self.last = tgr.Function(lambda text: text.removeprefix("Answer: "), backward="pass", effects="none")

    async def forward(self, question):
        return await self.last(await self.solve(question=question))


def test_a_run_with_refinements_is_judged_in_full(tmp_path):
    def refinements(run):
        return [item for file in sorted(run.glob("steps/*/step.json")) for item in read_json(file)["refinements"]]

    runs = {}
    for name, critic in (
        ("first", lambda policy: toy.critic(policy)),
        ("second", lambda _: tgr.critics.Replay(runs["first"])),
    ):
        policy, runs[name] = toy.ToyPolicy(), tmp_path / name
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            toy.trainer(
                policy, Checked(policy), critic=critic(policy), text=None, gate=None, weights=tgr.CritiqueGRPO(),
                refine=tgr.Refine(trigger="incorrect", keep=9), run_dir=runs[name],
            ).fit(toy.sums(), steps=2)  # fmt: skip
    before, after = map(refinements, runs.values())
    assert len(before) > 5
    assert {item["case"]["output"] for item in before} == {"0"}
    assert {item["text"] for item in before} == {"Answer: 0"}
    assert [item["case"] for item in after] == [item["case"] for item in before]
    assert None not in {item["score"] for item in after}


def test_a_run_without_a_step_is_told(tmp_path):
    with pytest.raises(RecordsError):
        tgr.critics.Replay(tmp_path)
