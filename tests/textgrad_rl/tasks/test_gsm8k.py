import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from textgrad_rl import tasks
from textgrad_rl.tasks.gsm8k import parse_answer
from textgrad_rl_graphs.errors import ConfigError, DataError


def rows(prefix: str, count: int) -> list[dict[str, str]]:
    return [
        {"question": f"{prefix} {n}?", "answer": f"Half of {2 * n} is <<{2 * n}/2={n}>>{n}.\n#### {n}"}
        for n in range(count)
    ]


def folder(path: Path, train: list[dict[str, str]], test: list[dict[str, str]]) -> Path:
    for name, table in (("train", train), ("test", test)):
        (path / f"{name}.jsonl").write_text("\n".join(json.dumps(row) for row in table), "utf-8")
    return path


def test_the_official_test_set_stays_and_train_is_split_without_overlap(tmp_path: Path) -> None:
    shared = rows("shared", 5)
    task = tasks.load("gsm8k", path=folder(tmp_path, rows("train", 300) + shared, rows("test", 40) + shared))
    questions = {split: {item.inputs["question"] for item in getattr(task, split)}
                 for split in ("train", "gate", "validation", "test")}  # fmt: skip
    assert questions["test"] == {row["question"] for row in rows("test", 40) + shared}
    rest = questions["train"] | questions["gate"] | questions["validation"]
    assert rest == {row["question"] for row in rows("train", 300)}
    assert sum(map(len, questions.values())) == 345
    example = next(item for item in task.test if item.inputs["question"] == "test 3?")
    assert (example.answer, example.solution) == ("3", "Half of 6 is 3.")


def test_it_comes_from_the_hub_without_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load_dataset(name: str, config: str, *, split: str) -> list[dict[str, str]]:
        asked.append((name, config, split))
        return rows(split, 30)

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    assert tasks.load("gsm8k").sizes["test"] == 30
    assert sorted(asked) == [("openai/gsm8k", "main", "test"), ("openai/gsm8k", "main", "train")]


def test_an_answer_is_taken_apart() -> None:
    assert parse_answer("a <<1+1=2>>2 b <<x>>\n#### -1,250 ", where="") == ("-1250", "a 2 b")
    for broken in ("no mark", "empty\n#### "):
        with pytest.raises(DataError, match=r"x:1: .*'#### number'"):
            parse_answer(broken, where="x:1")


def test_broken_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"test\.jsonl cannot be read"):
        tasks.load("gsm8k", path=tmp_path)
    folder(tmp_path, [{"question": "a", "answer": "1"}], rows("test", 1))
    with pytest.raises(DataError, match=r"train\.jsonl:1: a GSM8K answer"):
        tasks.load("gsm8k", path=tmp_path)
    with pytest.raises(ConfigError, match="test set of its own"):
        tasks.load("gsm8k", path=tmp_path, fractions={"train": 0.5, "test": 0.5})


def test_without_the_hub_the_error_names_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_dataset(*_: object, **__: object) -> None:
        raise ConnectionError("offline")

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    with pytest.raises(DataError, match="offline; path= takes a folder"):
        tasks.load("gsm8k")
