import sys
from types import SimpleNamespace
from typing import Any

import pytest

from textgrad_rl import tasks
from textgrad_rl_graphs.errors import DataError, MissingPackageError

ROWS = [{"problem": f"{n} + 1?", "answer": str(n + 1)} for n in range(50)]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    calls: list[tuple[Any, ...]] = []

    def load_dataset(name: str, config: str | None, *, split: str) -> list[dict[str, str]]:
        calls.append((name, config, split))
        if name == "org/none":
            raise FileNotFoundError("no such data set")
        return [] if split == "empty" else ROWS

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    return calls


def test_rows_of_the_asked_split_become_a_task(asked: list[tuple[Any, ...]]) -> None:
    task = tasks.load("hf:org/sums", question="problem", config="hard", split="test", fractions={"train": 1})
    assert asked == [("org/sums", "hard", "test")]
    assert [item.inputs["question"] for item in task.train] == [row["problem"] for row in ROWS]
    assert task.name == "hf:org/sums"


@pytest.mark.usefixtures("asked")
def test_data_that_is_not_there() -> None:
    with pytest.raises(DataError, match=r"hf:org/none.*cannot be loaded: no such data set"):
        tasks.load("hf:org/none")
    with pytest.raises(DataError, match="no rows"):
        tasks.load("hf:org/sums", split="empty")
    with pytest.raises(DataError, match=r"hf:org/sums train row 1: there is no column 'question'.*'problem', 'answer'"):
        tasks.load("hf:org/sums")


def test_without_the_package_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingPackageError, match=r"textgrad-rl\[data\]"):
        tasks.load("hf:org/sums")
