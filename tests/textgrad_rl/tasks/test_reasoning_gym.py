import itertools
import time

import pytest
import reasoning_gym

from textgrad_rl import tasks
from textgrad_rl.tasks.splits import CHAIN_SUM_SPLITS, split_of
from textgrad_rl.tasks.task import Task
from textgrad_rl_graphs.errors import ConfigError, UnknownNameError

SPLITS = ("train", "gate", "validation", "test")


def questions(task: Task) -> dict[str, set[str]]:
    return {split: {item.inputs["question"] for item in getattr(task, split)} for split in SPLITS}


def drawn(size: int, seed: int) -> list[dict[str, str]]:
    settings = {"min_terms": 2, "max_terms": 5, "min_digits": 1, "max_digits": 2}
    return list(reasoning_gym.create_dataset("chain_sum", size=size, seed=seed, **settings))


def test_chain_sum_holds_every_question_once_and_none_of_pretraining() -> None:
    own = questions(tasks.load("reasoning_gym:chain_sum", size=3000))
    pretraining = {
        item["question"] for item in drawn(3000, 0) if split_of(item["question"], CHAIN_SUM_SPLITS) == "pretraining"
    }
    assert pretraining
    assert not any(split & pretraining for split in own.values())
    assert set.union(pretraining, *own.values()) == {item["question"] for item in drawn(3000, 0)}
    assert not any(one & other for one, other in itertools.combinations(own.values(), 2))


def test_two_loads_with_neighbouring_seeds_share_questions_but_never_across_splits() -> None:
    one = questions(tasks.load("reasoning_gym:chain_sum", size=2000, seed=0))
    other = questions(tasks.load("reasoning_gym:chain_sum", size=2000, seed=7))
    assert len(one["train"] & other["train"]) > 100  # the trap that the splits are made for
    for left, right in itertools.permutations(SPLITS, 2):
        assert not one[left] & other[right]


def test_an_example_carries_what_the_scorer_needs() -> None:
    task = tasks.load("reasoning_gym:chain_sum", size=100)
    example = task.train[0]
    entry = example.metadata["entry"]
    assert type(entry) is dict
    assert example.metadata["dataset"] == "chain_sum"
    assert (entry["question"], entry["answer"]) == (example.inputs["question"], example.answer)
    scorer = reasoning_gym.get_score_answer_fn(example.metadata["dataset"])
    assert scorer(example.answer, entry) == 1.0
    assert scorer("9999", entry) < 1.0


def test_the_same_load_is_the_same_task() -> None:
    one, two = (tasks.load("reasoning_gym:chain_sum", size=200) for _ in range(2))
    assert one.digest == two.digest
    assert [item.id for item in one.train] == [item.id for item in two.train]
    assert one.digest != tasks.load("reasoning_gym:chain_sum", size=200, seed=1000).digest


def test_other_data_sets_take_their_own_settings_and_fractions() -> None:
    task = tasks.load("reasoning_gym:leg_counting", size=60, min_animals=2, max_animals=2, fractions={"train": 1.0})
    assert task.name == "reasoning_gym:leg_counting"
    assert len(task.train) > 30
    assert all(item.metadata["entry"]["metadata"]["difficulty"]["num_animals"] == (2, 2) for item in task.train)


def test_settings_that_cannot_work() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'chain_sum'"):
        tasks.load("reasoning_gym:chainsum")
    with pytest.raises(UnknownNameError, match="Did you mean 'max_terms'"):
        tasks.load("reasoning_gym:chain_sum", max_term=3)
    with pytest.raises(ConfigError, match="max_terms must be >= min_terms"):
        tasks.load("reasoning_gym:chain_sum", max_terms=1)
    with pytest.raises(ConfigError, match="size must be at least 1"):
        tasks.load("reasoning_gym:chain_sum", size=0)
    with pytest.raises(ConfigError, match=r"fixed.*pretraining"):
        tasks.load("reasoning_gym:chain_sum", fractions={"train": 1.0})


def test_twenty_thousand_items_take_seconds() -> None:
    start = time.process_time()
    task = tasks.load("reasoning_gym:chain_sum", size=20_000)
    assert time.process_time() - start < 10  # about one second on an idle core
    assert sum(task.sizes.values()) > 8000
