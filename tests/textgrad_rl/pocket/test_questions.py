"""Our generator against the library's, and splits without overlap."""

import random
from collections import Counter

import pytest
import reasoning_gym

from textgrad_rl.pocket import questions
from textgrad_rl.tasks.splits import CHAIN_SUM_SPLITS, split_of


def library(size: int) -> list[tuple[str, str]]:
    items = reasoning_gym.create_dataset("chain_sum", seed=123, size=size, **questions.CONFIG)
    return [(item["question"], item["answer"]) for item in items]


def test_every_library_question_is_read_and_answered() -> None:
    for text, answer in library(2000):
        question = questions.parse(text)
        assert question.text == text
        assert str(question.answer) == answer


def shape(question: questions.Question) -> tuple[int, bool]:
    return len(question.rest), max(question.first, *(term for _, term in question.rest)) > 9


def test_same_distribution_as_the_library() -> None:
    rng = random.Random(0)
    ours = [questions.draw(rng) for _ in range(4000)]
    theirs = [questions.parse(text) for text, _ in library(4000)]
    counts = [Counter(shape(question) for question in sample) for sample in (ours, theirs)]
    for kind in counts[0] | counts[1]:
        assert counts[0][kind] / 4000 == pytest.approx(counts[1][kind] / 4000, abs=0.03)
    means = [sum(question.answer for question in sample) / 4000 for sample in (ours, theirs)]
    assert means[0] == pytest.approx(means[1], abs=4)


def test_pretraining_and_held_out_questions_do_not_overlap() -> None:
    rng = random.Random(1)
    seen = {questions.draw_from("pretraining", rng).text for _ in range(3000)}
    tested = [question.text for question in questions.held_out(200)]
    assert len(set(tested)) == 200
    assert not seen & set(tested)
    assert {split_of(text, CHAIN_SUM_SPLITS) for text in tested} == {"test"}
    assert {split_of(text, CHAIN_SUM_SPLITS) for text in seen} == {"pretraining"}


def test_other_text_is_refused() -> None:
    with pytest.raises(ValueError, match="not a chain_sum question"):
        questions.parse("What is 1 + 1?")
