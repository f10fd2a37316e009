import errno
import json
import os
from pathlib import Path

import pytest

from tests.support.scripted import ScriptedModel
from textgrad_rl_graphs import records
from textgrad_rl_graphs.errors import ConfigError, RecordsError
from textgrad_rl_graphs.feedback import Feedback
from textgrad_rl_graphs.graph import Graph
from textgrad_rl_graphs.node import LLM, Function
from textgrad_rl_graphs.records import (
    RunDirectory,
    call_record,
    case_record,
    completion_record,
    dump_json,
    dump_lines,
    read_lines,
    request_record,
)
from textgrad_rl_graphs.types import Completion, Example, Message, Request, Usage

IDENTITY = {"graph": "G 1", "seed": "0"}
FILES = {"step.json": dump_json({"step": 1}), "calls.jsonl": dump_lines([{"a": 1}])}


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_new_folder_holds_schema_and_fingerprint(tmp_path):
    RunDirectory(tmp_path / "a" / "run", IDENTITY)
    assert json.loads((tmp_path / "a" / "run" / "run.json").read_text()) == {"schema": 1, "fingerprint": IDENTITY}
    run = RunDirectory(tmp_path / "a" / "run", IDENTITY)
    assert (run.last_step(), run.last_checkpoint()) == (None, None)


def test_a_step_is_committed_once_and_whole(tmp_path):
    run = RunDirectory(tmp_path, IDENTITY)
    assert run.commit(0, FILES)
    assert run.commit(1, FILES)
    assert tree(run.step_folder(1)) == {name: text.encode() for name, text in FILES.items()}
    assert run.last_step() == 1
    assert run.read_step(1) == {"step": 1}
    assert run.commit(1, FILES)  # again, the same: fine
    assert not run.commit(1, {**FILES, "step.json": dump_json({"step": 2})})  # other content is told, and not written
    assert run.read_step(1) == {"step": 1}


@pytest.mark.parametrize("where", ["write_text", "rename", "_sync_tree"])
def test_a_step_that_cannot_be_written_leaves_nothing_that_counts(tmp_path, monkeypatch, where):
    run = RunDirectory(tmp_path, IDENTITY)
    run.commit(0, FILES)
    with monkeypatch.context() as patch:
        patch.setattr(records if where.startswith("_") else Path, where, full)
        with pytest.raises(RecordsError, match=r"cannot write .*No space left.*start the same command again"):
            run.commit(1, FILES)
    assert run.last_step() == 0
    again = RunDirectory(tmp_path, IDENTITY)
    assert [item.name for item in (tmp_path / "steps").iterdir()] == ["000000"]  # the leftover is cleared
    assert again.commit(1, FILES)


def test_leftovers_of_a_kill_are_cleared_and_whole_steps_kept(tmp_path):
    run = RunDirectory(tmp_path, IDENTITY)
    run.commit(0, FILES)
    for kind in ("steps", "checkpoints"):
        (tmp_path / kind / ".000001").mkdir()
        (tmp_path / kind / ".000001" / "half").write_text("{")
    run = RunDirectory(tmp_path, IDENTITY)
    assert (run.last_step(), run.last_checkpoint()) == (0, None)
    assert sorted(tree(tmp_path)) == ["run.json", "steps/000000/calls.jsonl", "steps/000000/step.json"]


def fill(folder):
    (folder / "deep").mkdir()
    (folder / "deep" / "weights").write_text("w")


def test_a_checkpoint_starts_a_new_journal_and_drops_old_ones(tmp_path):
    run = RunDirectory(tmp_path, IDENTITY)
    run.journal().put("k", {"text": "paid"})
    assert (tmp_path / "journal" / "000000.jsonl").exists()
    for step in (2, 4, 6):
        run.checkpoint(step, fill)
        assert run.journal().get("k") is None
        run.journal().put("k", {"text": str(step)})
    assert [item.name for item in sorted((tmp_path / "checkpoints").iterdir())] == ["000004", "000006"]
    assert [item.name for item in (tmp_path / "journal").iterdir()] == ["000006.jsonl"]
    assert (run.checkpoint_folder(6) / "deep" / "weights").read_text() == "w"
    run.close()
    again = RunDirectory(tmp_path, IDENTITY)
    assert (again.last_checkpoint(), again.journal().get("k")) == (6, {"text": "6"})


def test_a_checkpoint_that_is_there_already_is_left_alone(tmp_path):
    run = RunDirectory(tmp_path, IDENTITY)
    run.checkpoint(1, fill)
    run.journal().put("k", {})
    run.checkpoint(1, full)
    assert run.journal().get("k") == {}
    run.close()


def test_a_checkpoint_that_fails_leaves_the_last_one_and_the_journal(tmp_path):
    run = RunDirectory(tmp_path, IDENTITY)
    run.checkpoint(1, fill)
    run.journal().put("k", {})
    with pytest.raises(RecordsError, match="No space left"):
        run.checkpoint(2, full)
    run.close()
    again = RunDirectory(tmp_path, IDENTITY)
    assert (again.last_checkpoint(), again.journal().get("k")) == (1, {})


def test_a_journal_that_outlived_its_checkpoint_is_cleared(tmp_path):
    run = RunDirectory(tmp_path, IDENTITY)
    run.checkpoint(3, fill)
    run.journal().put("k", {})
    run.close()
    (tmp_path / "journal" / "000000.jsonl").write_text('{"key": "old", "entry": {}}\n')  # killed before it was deleted
    RunDirectory(tmp_path, IDENTITY)
    assert [item.name for item in (tmp_path / "journal").iterdir()] == ["000003.jsonl"]


def test_the_run_of_another_configuration_is_refused_with_the_difference(tmp_path):
    RunDirectory(tmp_path, {**IDENTITY, "gate": "none"})
    before = tree(tmp_path)
    with pytest.raises(RecordsError) as caught:
        RunDirectory(tmp_path, {"graph": "G 1", "seed": "1", "samples": "8"})
    lines = str(caught.value).split("\n")
    assert lines[1:4] == [
        "  gate: there none, here (none)",
        "  samples: there (none), here 8",
        "  seed: there 0, here 1",
    ]
    assert "graph" not in "".join(lines[1:4])
    assert "Choose another run_dir, or change the configuration back" in lines[4]
    assert tree(tmp_path) == before


def test_records_of_another_schema_are_refused(tmp_path):
    (tmp_path / "run.json").write_text('{"schema": 7, "fingerprint": {}}')
    with pytest.raises(RecordsError, match="schema 7, this version reads 1"):
        RunDirectory(tmp_path, {})


@pytest.mark.parametrize("text", ["{", "[]", ""])
def test_an_unreadable_run_json_is_an_error(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(RecordsError, match=r"run\.json"):
        RunDirectory(tmp_path, IDENTITY)


def test_resume_never_refuses_a_used_folder_and_must_an_empty_one(tmp_path):
    with pytest.raises(RecordsError, match=r"resume='must', but .* holds no run"):
        RunDirectory(tmp_path / "run", IDENTITY, "must")
    assert not (tmp_path / "run").exists()
    RunDirectory(tmp_path / "run", IDENTITY, "never")
    RunDirectory(tmp_path / "run", IDENTITY, "must")
    with pytest.raises(RecordsError, match="holds a run already; choose another run_dir or resume='auto'"):
        RunDirectory(tmp_path / "run", IDENTITY, "never")
    with pytest.raises(ConfigError, match="'sometimes'"):
        RunDirectory(tmp_path / "run", IDENTITY, "sometimes")


def test_a_folder_that_cannot_be_made_is_an_error_that_says_what_to_do(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordsError, match=r"cannot write .*fix the permissions"):
        RunDirectory(tmp_path / "file" / "run", IDENTITY)


def test_files_at_the_top_are_replaced_whole(tmp_path, monkeypatch):
    run = RunDirectory(tmp_path, IDENTITY)
    run.write("report.json", "one")
    with monkeypatch.context() as patch:
        patch.setattr(records, "_sync", full)
        with pytest.raises(RecordsError, match="No space left"):
            run.write("report.json", "two")
    assert (tmp_path / "report.json").read_text() == "one"
    run.log_timing({"step": 1, "seconds": 2.0})
    run.log_timing({"step": 2, "seconds": 3.0})
    lines = (tmp_path / "timing.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2]


def test_the_same_value_gives_the_same_text_and_any_string_can_be_written(tmp_path):
    assert dump_json({"b": 1, "a": [2]}) == dump_json({"a": [2], "b": 1}) == '{\n "a": [\n  2\n ],\n "b": 1\n}\n'
    assert dump_lines([{"b": 1, "a": "é"}, 2]) == '{"a":"é","b":1}\n2\n'
    run = RunDirectory(tmp_path, IDENTITY)
    odd = {"text": "half an emoji \ud83d, \u2028, \r\n and 漢"}
    files = {"step.json": dump_json(odd), "calls.jsonl": dump_lines([odd])}
    assert run.commit(0, files)
    assert run.commit(0, files)  # reads back as it was written
    assert run.read_step(0) == odd


class Checked(Graph):
    def __init__(self, model):
        self.solve = LLM(model, template="{question}")
        self.check = Function(lambda text: text.upper(), effects="none")

    async def forward(self, question):
        return await self.check(await self.solve(question=question))


def test_the_record_of_a_call_holds_what_schema_1_promises():
    trace = Checked(ScriptedModel(lambda _: "yes", trainable=True, weight_version=3)).run(
        Example({"question": "q"}, id="e"), sample=2
    )
    solve, check = trace.ordered()
    assert call_record(trace, check) is None
    assert call_record(trace, solve) == {
        "call_key": solve.key, "example_id": "e", "sample": 2, "node": "solve", "role": "solve", "context": "own",
        "prompt_version": "", "model": "scripted", "weight_version": 3, "prompt_ids": (113,),
        "output_ids": (121, 101, 115), "logprobs": (-0.5,) * 3, "loss_mask": [1, 1, 1], "text": "yes",
        "usage": {"prompt_tokens": 1, "generated_tokens": 3}, "finish_reason": "stop",
    }  # fmt: skip
    solve.refined = True
    assert call_record(trace, solve)["context"] == "refine"
    solve.completion = None
    assert call_record(trace, solve) is None


def test_other_calls_are_never_trained():
    completion = Completion(text="no", output_ids=(1, 2), usage=Usage(4, 2, 1))
    record = request_record(Request(messages=(Message("user", "q"),), role="critique", seed=9), completion)
    assert (record["role"], record["seed"], record["loss_mask"]) == ("critique", 9, [0, 0])
    assert completion_record(completion, trainable=True)["loss_mask"] == [1, 1]


def test_the_record_of_a_case_holds_the_feedback():
    trace = Checked(ScriptedModel(lambda _: "yes")).run(Example({"question": "q"}, id="e"))
    feedback = Feedback(score=0.5, correct=False, critique="why", sees="answer", components={"format": 1.0})
    assert case_record(trace, feedback) == {
        "trace": "0/e/0", "example_id": "e", "sample": 0, "output": "YES", "failure": None, "score": 0.5,
        "correct": False, "critique": "why", "fault": None, "sees": "answer", "components": {"format": 1.0},
    }  # fmt: skip


def test_the_record_of_a_failed_run_says_where_and_why():
    def explode(request):
        raise AssertionError

    graph = Checked(ScriptedModel(lambda _: "yes"))
    graph.check = Function(explode, effects="none")
    record = case_record(graph.run({"question": "q"}), Feedback(score=0.0, fault="policy"))
    assert record["output"] is None
    assert record["failure"].startswith("check: it raised AssertionError")


def test_a_text_may_hold_what_other_alphabets_end_their_lines_with(tmp_path):
    (tmp_path / "cases.jsonl").write_text(
        dump_lines([{"output": "one\u2028two\x85three\x0cfour"}, {"output": ""}]), "utf-8"
    )
    assert [item["output"] for item in read_lines(tmp_path / "cases.jsonl")] == ["one\u2028two\x85three\x0cfour", ""]
