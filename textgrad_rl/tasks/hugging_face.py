"""Tasks from data sets of the Hugging Face hub or its cache, through the package ``datasets`` (extra ``data``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from textgrad_rl.tasks.columns import Columns
from textgrad_rl.tasks.task import Task
from textgrad_rl_graphs.errors import DataError, MissingPackageError


def load_hugging_face(
    name: str,
    *,
    config: str | None = None,
    split: str = "train",
    question: str | None = None,
    answer: str | None = "answer",
    solution: str | None = None,
    inputs: Mapping[str, str] | None = None,
    fractions: Mapping[str, float] | None = None,
) -> Task:
    """Return the task of one split of a data set, split again by a hash of the inputs.

    Args:
        name: ``"org/name"``.
        config: the data set's configuration, if it has several.
        split: which of its splits to read.
        question: the column of the only input.
        answer: the column of the reference answer, or None.
        solution: the column of the worked solution, or None.
        inputs: the column of every input, instead of ``question``.
        fractions: share of each split; defaults to train 0.6, gate 0.1, validation 0.1, test 0.2.

    Raises:
        MissingPackageError: without the package ``datasets``.
        DataError: when it cannot be loaded, is empty, or lacks a column.
    """
    columns = Columns(question=question, answer=answer, solution=solution, inputs=inputs)
    rows = hub_rows(name, config, split)
    return Task.of(f"hf:{name}", (columns.example(row, where=where) for where, row in rows), fractions)


def hub_rows(name: str, config: str | None, split: str, hint: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield ``("hf:name split row n", row)`` for every row.

    Raises:
        MissingPackageError: without the package ``datasets``.
        DataError: when it cannot be loaded or is empty.
    """
    try:
        import datasets
    except ImportError as error:
        raise MissingPackageError("datasets", f"loading the data set {name!r}", "data") from error
    try:
        table = datasets.load_dataset(name, config, split=split)
    except Exception as error:  # datasets raises a dozen unrelated types: no network, no such name, config or split
        raise DataError(f"hf:{name} (config={config!r}, split={split!r}) cannot be loaded: {error}{hint}") from error
    number = 0
    for number, row in enumerate(table, start=1):
        yield f"hf:{name} {split} row {number}", dict(row)
    if not number:
        raise DataError(f"hf:{name} (config={config!r}, split={split!r}) has no rows")
