"""GSM8K-like questions made by hand, each with a right and a wrong response."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from textgrad_rl.critic_eval.labelled import Labelled, read_labelled

QUESTIONS = [
    ("Ann lays 16 eggs and eats 7. She sells the rest for $2 each. What does she earn?", "18",
     "She sells 16 - 7 = 9 eggs.\nShe earns 9 * 2 = $18.", "She sells 16 - 7 = 8 eggs.\nShe earns 8 * 2 = $16.", "16"),
    ("Bob runs 3 sprints of 60 meters a day. How far does he run in 3 days?", "540",
     "A day has 3 * 60 = 180 meters.\nHe runs 3 * 180 = 540 meters.",
     "A day has 3 + 60 = 63 meters.\nHe runs 3 * 63 = 189 meters.", "189"),
    ("A robe takes 2 bolts of blue and half as much white. How many bolts is that?", "3",
     "White takes 2 / 2 = 1 bolt.\nIn total 2 + 1 = 3 bolts.",
     "White takes 2 * 2 = 4 bolts.\nIn total 2 + 4 = 6 bolts.", "6"),
    ("Carl reads 12 pages a day. How many does he read in a week?", "84",
     "A week has 7 days.\nHe reads 12 * 7 = 84 pages.", "A week has 5 days.\nHe reads 12 * 5 = 60 pages.", "60"),
]  # fmt: skip


def rows() -> list[dict[str, Any]]:
    return [
        {"question": question, "answer": answer, "solution": solution, "response": response, "correct": correct}
        for question, answer, solution, wrong, wrong_answer in QUESTIONS
        for response, correct in ((f"{solution}\n#### {answer}", True), (f"{wrong}\n#### {wrong_answer}", False))
    ]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes rows to a JSON Lines file; a text is a line as it stands."""

    def write(*lines: dict[str, Any] | str) -> Path:
        path = tmp_path / "samples.jsonl"
        path.write_text("".join(f"{item if isinstance(item, str) else json.dumps(item)}\n" for item in lines), "utf-8")
        return path

    return write


@pytest.fixture
def gsm8k_like(write: Callable[..., Path]) -> Path:
    return write(*rows())


@pytest.fixture
def samples(gsm8k_like: Path) -> list[Labelled]:
    return read_labelled(gsm8k_like)
