import json
import os
import sys
from pathlib import Path

import pytest

from textgrad_rl_critics import exact_match, last_number, math_verify, reasoning_gym
from textgrad_rl_graphs.errors import DataError, MissingPackageError, UnknownNameError
from textgrad_rl_graphs.types import Example


def test_exact_match_on_gsm8k_forms():
    example = Example({"question": "?"}, answer="1000")
    score = exact_match()
    for text in ("#### 1,000", "So.\n#### $1000.00", "Answer: 1000.", r"\boxed{1{,}000}".replace("{,}", ","), "1000"):
        assert score(text, example) is True, text
    for text in ("#### 100", "Answer: 1000 eggs", "1000 or 2000", ""):
        assert score(text, example) is False, text
    assert exact_match(extract=last_number)("Answer: 1000 eggs", example) is True


def test_gsm8k_references_score_themselves():
    folder = os.environ.get("TEXTGRAD_RL_DATA")
    if not folder:
        pytest.skip("TEXTGRAD_RL_DATA is not set: no GSM8K here")
    lines = (Path(folder) / "gsm8k" / "test.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    score = exact_match()
    answers = [row["answer"].split("####")[1] for row in rows]
    right = [score(row["answer"], Example(row, answer)) for row, answer in zip(rows, answers, strict=True)]
    neighbours = [score(row["answer"], Example(row, a)) for row, a in zip(rows, answers[1:], strict=False)]
    assert all(right)
    assert sum(neighbours) < 0.05 * len(rows)


def test_exact_match_needs_an_answer():
    with pytest.raises(DataError):
        exact_match()("42", Example({"question": "?"}))


def test_reasoning_gym_scores_as_the_data_set_does():
    from reasoning_gym import create_dataset

    data = create_dataset("chain_sum", size=5, seed=3)
    score = reasoning_gym("chain_sum")
    for entry in data:
        example = Example({"question": entry["question"]}, metadata={"entry": entry})
        assert score(f"It is so. Answer: {entry['answer']}", example) == 1.0
        assert score("Answer: 123456", example) == data.score_answer("123456", entry) < 1.0


def test_reasoning_gym_errors():
    with pytest.raises(UnknownNameError, match="chain_sum"):
        reasoning_gym("chain_sun")
    with pytest.raises(DataError, match="entry"):
        reasoning_gym("chain_sum").check(Example({"question": "?"}))


def test_math_verify():
    score = math_verify()
    example = Example({"question": "?"}, answer=r"\frac{1}{2}")
    assert score("Thus $x = 0.5$", example) is True
    assert score(r"\boxed{\frac{1}{3}}", example) is False


def test_math_verify_outside_of_the_main_thread():
    import asyncio

    example = Example({"question": "?"}, answer="0.5")
    assert asyncio.run(asyncio.to_thread(math_verify(), r"\boxed{\frac{1}{2}}", example)) is True


def test_math_verify_without_its_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "math_verify", None)
    with pytest.raises(MissingPackageError, match=r"textgrad-rl\[math\]"):
        math_verify()
