"""GSM8K: grade-school word problems with worked solutions (https://arxiv.org/abs/2110.14168).

The official test set stays the test set; its training set is split by a hash of the question into train, gate and
validation, without questions that the test set has too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from textgrad_rl.tasks.columns import Columns
from textgrad_rl.tasks.hugging_face import hub_rows
from textgrad_rl.tasks.jsonl import rows_of
from textgrad_rl.tasks.task import Task, question_of, split_examples
from textgrad_rl_graphs.errors import ConfigError, DataError
from textgrad_rl_graphs.types import Example

GSM8K_FRACTIONS: Mapping[str, float] = MappingProxyType({"train": 0.8, "gate": 0.1, "validation": 0.1})
"""Shares of the official training set."""

_COLUMNS = Columns(question="question", answer="answer")
_CALCULATOR = re.compile(r"<<[^<>]*>>")


def load_gsm8k(*, path: str | Path | None = None, fractions: Mapping[str, float] | None = None) -> Task:
    """Return GSM8K.

    Args:
        path: a folder with ``train.jsonl`` and ``test.jsonl`` as published; None loads ``openai/gsm8k`` from the hub.
        fractions: shares of train, gate and validation in the official training set.

    Raises:
        DataError: when a file or a row is not as published.
        MissingPackageError: without ``path`` and without the package ``datasets``.
    """
    if fractions is not None and "test" in fractions:
        raise ConfigError(
            "gsm8k has a test set of its own; fractions= divides its training set: train, gate, validation"
        )
    sources: dict[str, Iterable[tuple[str, dict[str, Any]]]]
    if path is None:
        hint = "; path= takes a folder with train.jsonl and test.jsonl instead"
        sources = {split: hub_rows("openai/gsm8k", "main", split, hint) for split in ("test", "train")}
    else:
        sources = {split: rows_of(Path(path) / f"{split}.jsonl") for split in ("test", "train")}
    test = {question_of(example): example for example in _examples(sources["test"])}
    rest = [example for example in _examples(sources["train"]) if question_of(example) not in test]
    parts = split_examples(rest, GSM8K_FRACTIONS if fractions is None else fractions)
    return Task("gsm8k", **{**parts, "test": list(test.values())})


def parse_answer(text: str, *, where: str) -> tuple[str, str]:
    r"""Return (answer, solution): what stands after ``####``, and the text before it without calculator marks.

    Raises:
        DataError: when there is no ``####``.

    >>> parse_answer("2 + 3 = <<2+3=5>>5 eggs.\n#### 1,005", where="line 1")
    ('1005', '2 + 3 = 5 eggs.')
    """
    solution, mark, answer = text.rpartition("####")
    if not mark or not answer.strip():
        raise DataError(f"{where}: a GSM8K answer ends in '#### number', got {text[-60:]!r}")
    return answer.strip().replace(",", ""), _CALCULATOR.sub("", solution).strip()


def _examples(rows: Iterable[tuple[str, dict[str, Any]]]) -> Iterator[Example]:
    for where, row in rows:
        example = _COLUMNS.example(row, where=where)
        answer, solution = parse_answer(example.answer or "", where=where)
        yield Example(example.inputs, answer=answer, solution=solution, metadata=example.metadata)
