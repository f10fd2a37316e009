from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textgrad_rl.tasks.splits import split_of
from textgrad_rl.tasks.task import FRACTIONS, Task, question_of, split_examples
from textgrad_rl_graphs.errors import ConfigError, DataError, UnknownNameError
from textgrad_rl_graphs.types import Example

SPLITS = ("train", "gate", "validation", "test")


def examples(*questions: str) -> list[Example]:
    return [Example({"question": question}, answer="1") for question in questions]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.text(min_size=1), unique=True, max_size=40))
def test_every_question_is_in_exactly_the_split_of_its_hash(questions: list[str]) -> None:
    parts = split_examples(examples(*questions), FRACTIONS)
    placed = [(split, item.inputs["question"]) for split, items in parts.items() for item in items]
    assert sorted(question for _, question in placed) == sorted(questions)
    assert all(split == split_of(question, FRACTIONS) for split, question in placed)


def test_several_inputs_are_hashed_together_and_in_any_order() -> None:
    one = Example({"question": "1 + 1", "context": "a"})
    turned = Example({"context": "a", "question": "1 + 1"})
    other = Example({"question": "1 + 1", "context": "b"})
    assert question_of(one) == question_of(turned) != question_of(other)


def test_a_repeated_example_is_kept_once_and_pretraining_is_left_out() -> None:
    items = examples(*(f"q{index}" for index in range(200))) * 2
    task = Task.of("toy", items, {"pretraining": 0.5, "train": 0.3, "gate": 0.1, "validation": 0.05, "test": 0.05})
    kept = {item.inputs["question"] for split in SPLITS for item in getattr(task, split)}
    assert len(kept) == sum(task.sizes.values())
    assert 60 < len(kept) < 140


@pytest.mark.parametrize("split", SPLITS)
def test_an_empty_split_is_an_error_only_when_it_is_asked_for_and_says_what_to_do(split: str) -> None:
    given = {name: examples(name) for name in SPLITS if name != split}
    task = Task("toy", **given)
    for name in given:
        assert len(getattr(task, name)) == 1
    with pytest.raises(DataError, match=rf"'toy' has no {split} examples.*fractions=.*{split}=\[\.\.\.\]"):
        getattr(task, split)
    assert task.sizes[split] == 0  # type: ignore[index]
    assert f"{split}=0" in repr(task)


def test_a_task_is_read_only() -> None:
    task = Task("toy", train=examples("a"))
    with pytest.raises(AttributeError):
        task.train = ()  # type: ignore[misc]
    with pytest.raises(AttributeError):
        task.extra = 1  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "given", [{"train": ["a", "a"]}, {"train": ["a"], "test": ["b", "a"]}], ids=["in one split", "across splits"]
)
def test_an_example_given_twice_is_refused(given: dict[str, list[str]]) -> None:
    with pytest.raises(DataError, match="again in"):
        Task("toy", **{split: examples(*questions) for split, questions in given.items()})


@pytest.mark.parametrize(
    "change",
    [
        lambda given: {**given, "train": examples("a", "x")},
        lambda given: {**given, "test": [], "gate": given["test"]},
        lambda given: {**given, "train": [Example({"question": "a"}, "1", solution="why")]},
        lambda given: {**given, "train": [Example({"question": "a"}, "1", metadata={"entry": {"level": 2}})]},
        lambda given: {**given, "train": [Example({"question": "a"}, "2", id=examples("a")[0].id)]},
    ],
    ids=["more", "moved", "solution", "metadata", "answer under the same id"],
)
def test_the_digest_follows_the_data_and_nothing_else(change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    given = {"train": examples("a"), "test": examples("b")}
    assert Task("one", **given).digest == Task("two", **given).digest
    assert Task("one", **given).digest != Task("one", **change(given)).digest


def test_the_digest_does_not_depend_on_addresses() -> None:
    def task() -> Task:
        return Task("toy", train=[Example({"question": "a"}, metadata={"entry": {"tool": object(), (1, 2): 3}})])

    assert task().digest == task().digest


def test_fractions_are_checked() -> None:
    with pytest.raises(ConfigError, match="sum to 1"):
        Task.of("toy", examples("a"), {"train": 0.5})
    with pytest.raises(UnknownNameError, match="Did you mean 'train'"):
        Task.of("toy", examples("a"), {"trian": 1.0})
