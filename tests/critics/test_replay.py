import json

import pytest

from textgrad_rl_critics import ChainOfThought, CriticFaultWarning, Replay, Verifier
from textgrad_rl_graphs.errors import DataError, RecordsError
from textgrad_rl_graphs.feedback import Feedback
from textgrad_rl_graphs.records import case_record, dump_lines
from textgrad_rl_graphs.types import Usage


def save(path, cases, feedback):
    lines = [case_record(case.trace, item) for case, item in zip(cases, feedback, strict=True)]
    path.write_text(dump_lines(lines), "utf-8")
    return path


@pytest.fixture
def judged(make_case, double, tmp_path):
    """Three cases, what a judge said of them, and the file with it."""
    model = double(
        lambda r: "Fine. Verdict: right" if "Response: 42" in r.messages[1].content else "No. Verdict: wrong"
    )
    cases = [make_case("42"), make_case("41"), make_case("42", question="other")]
    feedback = ChainOfThought(model).critique(cases)
    return cases, feedback, save(tmp_path / "cases.jsonl", cases, feedback)


def test_the_same_again_at_no_cost(judged, make_case):
    cases, feedback, path = judged
    again = Replay(path).critique([cases[2], make_case(""), cases[0], cases[1]])
    for item, before in zip(again, [feedback[2], None, feedback[0], feedback[1]], strict=True):
        if before is not None:
            assert (item.score, item.correct, item.critique, item.sees) == (
                before.score, before.correct, before.critique, before.sees,
            )  # fmt: skip
        assert item.usage == Usage()
    assert again[1].fault == "policy"
    assert Replay(path).critique([cases[0]], critiques=False)[0].critique == ""
    assert Replay(path).critique([]) == []


def test_what_was_said_of_inner_nodes_is_not_said_of_the_output(judged, tmp_path):
    cases, feedback, path = judged
    inner = case_record(cases[0].trace, Feedback(score=0.1, critique="the plan is vague")) | {"node": "plan"}
    path.write_text(dump_lines([case_record(cases[0].trace, feedback[0]), inner]), "utf-8")
    assert Replay(path).critique(cases[:1])[0].score == 1.0


def test_what_is_not_recorded_is_unscored_and_counted(judged, make_case, caplog):
    cases, _, path = judged
    new = [make_case("43"), make_case("42", question="a third"), make_case("44")]
    with pytest.warns(CriticFaultWarning):
        feedback = Replay(path).critique([cases[0], *new])
    assert [item.fault for item in feedback] == [None, "critic", "critic", "critic"]
    assert "3 of 4 cases unscored: replay: the response is none of the 3 recorded" in caplog.text


def test_or_judged_by_another(judged, make_case, script):
    cases, _, path = judged
    fallback = script(lambda case: Feedback(score=0.5, critique=f"new: {case.text}"))
    feedback = Replay(path, fallback=fallback).critique([make_case("43"), cases[0], make_case("44")])
    assert [item.critique for item in feedback] == ["new: 43", "Fine. Verdict: right", "new: 44"]
    assert [[case.text for case in asked] for asked, _ in fallback.asked] == [["43", "44"]]
    Replay(path, fallback=fallback).critique(cases)
    assert len(fallback.asked) == 1
    with pytest.raises(DataError):
        Replay(path, fallback=Verifier()).critique([make_case("43", answer=None)])


def test_faults_and_scores_are_taken_over_but_not_a_critics_trouble(make_case, tmp_path):
    cases = [make_case(text) for text in ("1", "2", "3", "")]
    feedback = [
        Feedback(score=-1.0, correct=False, critique="unreadable", fault="policy", components={"form": 0.0}),
        Feedback(score=None, critique="down", fault="critic"),
        Feedback(score=0.5, components={"cosine": 0.5}),
        Feedback(score=-1.0, correct=False, critique="The response is empty.", fault="policy"),
    ]
    critic = Replay(save(tmp_path / "f.jsonl", cases, feedback))
    assert critic.lowest == -1.0
    again = critic.critique(cases)
    assert [again[0], again[2], again[3]] == [feedback[0], feedback[2], feedback[3]]
    assert (again[1].score, "none of the" in again[1].critique) == (None, True)


def test_the_last_feedback_holds_and_one_with_a_critique_before_one_without(make_case, tmp_path):
    said = [Feedback(score=0.1, critique="a"), Feedback(score=0.2, critique="b"), Feedback(score=0.3)]
    case = make_case("42")
    assert Replay(save(tmp_path / "f", [case] * 3, said)).critique([case])[0].critique == "b"
    assert Replay(save(tmp_path / "f", [case] * 2, [said[2], said[0]])).critique([case])[0].critique == "a"


def test_a_run_directory_is_read_step_by_step(judged, tmp_path):
    cases, feedback, path = judged
    run = tmp_path / "run"
    for step, place in (("000002", slice(0, 2)), ("000001", slice(2, 3))):
        (run / "steps" / step).mkdir(parents=True)
        save(run / "steps" / step / "cases.jsonl", cases[place], feedback[place])
        (run / "steps" / step / "step.json").write_text('{"refinements": []}')
    (run / "steps" / "000000").mkdir()  # an evaluation: it has no cases
    (run / "run.json").write_text(json.dumps({"schema": 1, "fingerprint": {}}))
    assert Replay(run).critique(cases) == Replay(path).critique(cases)


def test_refinements_of_a_run_are_known_by_what_their_run_put_out(judged, make_case, tmp_path):
    cases, feedback, path = judged
    refined, worse = make_case("6 * 7 = 42"), make_case("40")
    records = [
        {
            "text": "42",
            "critique": "Add steps.",
            "case": case_record(refined.trace, Feedback(score=0.75, correct=True)),
        },
        {
            "text": "40",
            "case": case_record(worse.trace, Feedback(score=None, fault="critic")),
        },  # it was not judged then
        {"text": "39", "case": None},  # its re-run failed
        {"text": "38"},  # of a run that did not keep it yet
        {
            "text": "41",
            "case": case_record(cases[1].trace, Feedback(score=0.5, correct=False)),
        },  # a sample's text, without words
    ]
    folder = tmp_path / "run" / "steps" / "000001"
    folder.mkdir(parents=True)
    path.rename(folder / "cases.jsonl")
    (folder / "step.json").write_text(json.dumps({"refinements": records}))
    (tmp_path / "run" / "run.json").write_text('{"schema": 1}')
    found = Replay(tmp_path / "run").critique([refined, worse, cases[1]])
    assert [(item.score, item.fault) for item in found] == [(0.75, None), (None, "critic"), (0.0, None)]
    assert (found[0].critique, found[2].critique) == ("", feedback[1].critique)
    assert Replay(folder / "cases.jsonl").critique([refined])[0].fault == "critic"  # the file alone


def test_what_cannot_be_read_is_told_at_once(tmp_path):
    with pytest.raises(RecordsError, match="neither a run directory nor a file"):
        Replay(tmp_path)
    (tmp_path / "run.json").write_text('{"schema": 2}')
    with pytest.raises(RecordsError, match="schema 2"):
        Replay(tmp_path)
    (tmp_path / "run.json").write_text('{"schema": 1}')
    with pytest.raises(RecordsError, match="no judged step"):
        Replay(tmp_path)
    case = '{"example_id": "a", "output": "b", "score": %s}'
    for line in ('{"example_id": "a"}', "3", "{", case % '"high"', case % "NaN", case % "[]"):
        (tmp_path / "f").write_text(line)
        with pytest.raises(RecordsError, match=str(tmp_path / "f")):
            Replay(tmp_path / "f")
    (tmp_path / "steps" / "000001").mkdir(parents=True)
    (tmp_path / "steps" / "000001" / "cases.jsonl").write_text("")
    (tmp_path / "steps" / "000001" / "step.json").write_text('{"refinements": [{"case": {"score": 1}}]}')
    with pytest.raises(RecordsError, match=r"step\.json, a refinement is no case"):
        Replay(tmp_path)
