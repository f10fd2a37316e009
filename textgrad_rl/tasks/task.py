"""A task: examples in four splits that share no question.

Left out: how answers are checked; that is a critic's business (``textgrad_rl.critics``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal, cast, final

from textgrad_rl.tasks.splits import split_of
from textgrad_rl_graphs.errors import ConfigError, DataError, UnknownNameError
from textgrad_rl_graphs.hashing import digest
from textgrad_rl_graphs.types import Example

Split = Literal["train", "gate", "validation", "test"]

FRACTIONS: Mapping[str, float] = MappingProxyType({"train": 0.6, "gate": 0.1, "validation": 0.1, "test": 0.2})
"""Shares of the splits where nothing else is said."""

_USE: Mapping[str, str] = {
    "train": "training draws its questions from it",
    "gate": "the gate tests new prompts on it",
    "validation": "evaluations during training use it",
    "test": "the final evaluation uses it",
}


@final
class Task:
    """Examples to train, gate, validate and test on; read-only.

    A split may stay empty while nobody asks for it; asking for an empty one is an error that says what to do.
    ``train`` prompts and weights learn from, ``gate`` decides about new prompts, ``validation`` watches training,
    ``test`` is for the end.

    Args:
        name: shown in reports.
        train, gate, validation, test: the examples of each split.

    Raises:
        DataError: when an id is used twice, in a split or across splits.

    >>> task = Task("sums", train=[Example({"question": "1 + 1"}, "2")], test=[Example({"question": "1 + 2"}, "3")])
    >>> len(task.train), task.sizes["gate"]
    (1, 0)
    """

    __slots__ = ("_digest", "_name", "_splits")

    def __init__(
        self,
        name: str,
        *,
        train: Iterable[Example] = (),
        gate: Iterable[Example] = (),
        validation: Iterable[Example] = (),
        test: Iterable[Example] = (),
    ) -> None:
        """Copy the splits and hash their content."""
        self._name = name
        self._splits: dict[Split, tuple[Example, ...]] = {
            "train": tuple(train),
            "gate": tuple(gate),
            "validation": tuple(validation),
            "test": tuple(test),
        }
        _refuse_repeated(name, self._splits)
        self._digest = digest(*(_content(split, item) for split, examples in self._splits.items() for item in examples))

    @classmethod
    def of(cls, name: str, examples: Iterable[Example], fractions: Mapping[str, float] | None = None) -> Task:
        """Return a task whose splits are chosen by a hash of each example's inputs.

        Equal inputs always land in the same split, in every task with the same fractions, so splits cannot overlap.
        Of examples with the same id the first is kept.

        Args:
            name: shown in reports.
            examples: all items.
            fractions: share of each split; a share of ``"pretraining"`` is left out of the task.

        Raises:
            ConfigError: when a fraction is negative or of an unknown split, or they do not sum to 1.
        """
        return cls(name, **split_examples(examples, FRACTIONS if fractions is None else fractions))

    @property
    def name(self) -> str:
        """Its name."""
        return self._name

    @property
    def digest(self) -> str:
        """Content hash of all splits; a resumed run compares it."""
        return self._digest

    @property
    def sizes(self) -> dict[Split, int]:
        """Number of examples by split; never an error."""
        return {split: len(examples) for split, examples in self._splits.items()}

    @property
    def train(self) -> tuple[Example, ...]:
        """Questions to learn from."""
        return self._some("train")

    @property
    def gate(self) -> tuple[Example, ...]:
        """Questions that decide about new prompts."""
        return self._some("gate")

    @property
    def validation(self) -> tuple[Example, ...]:
        """Questions that watch training."""
        return self._some("validation")

    @property
    def test(self) -> tuple[Example, ...]:
        """Questions for the final evaluation."""
        return self._some("test")

    def _some(self, split: Split) -> tuple[Example, ...]:
        examples = self._splits[split]
        if not examples:
            sizes = ", ".join(f"{name} {size}" for name, size in self.sizes.items())
            raise DataError(
                f"task {self._name!r} has no {split} examples ({sizes}), and {_USE[split]}. Load more items, "
                f"give the split a larger share (fractions=...), or build Task(..., {split}=[...])"
            )
        return examples

    def __repr__(self) -> str:
        """Show name and sizes."""
        return f"Task({self._name!r}, {', '.join(f'{split}={size}' for split, size in self.sizes.items())})"


def split_examples(examples: Iterable[Example], fractions: Mapping[str, float]) -> dict[Split, list[Example]]:
    """Return the examples by split, chosen by a hash of their inputs; of equal ids the first is kept.

    Raises:
        ConfigError: when a fraction is negative or of an unknown split, or they do not sum to 1.
    """
    for split in fractions:
        if split not in (*_USE, "pretraining"):
            raise UnknownNameError("split", split, _USE)
    try:
        split_of("", fractions)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    distinct: dict[str, Example] = {}
    for example in examples:
        distinct.setdefault(example.key, example)
    parts: dict[Split, list[Example]] = {"train": [], "gate": [], "validation": [], "test": []}
    for example in distinct.values():
        split = split_of(question_of(example), fractions)
        if split != "pretraining":
            parts[cast(Split, split)].append(example)
    return parts


def question_of(example: Example) -> str:
    """Return the text that decides about an example's split: its input, or all of them by name."""
    if len(example.inputs) == 1:
        return str(next(iter(example.inputs.values())))
    return _json(dict(sorted(example.inputs.items())))


def _refuse_repeated(name: str, splits: Mapping[Split, tuple[Example, ...]]) -> None:
    seen: dict[str, str] = {}
    for split, examples in splits.items():
        for example in examples:
            if example.key in seen:
                raise DataError(
                    f"task {name!r}: the example {example.key} is in {seen[example.key]} and again in {split}; "
                    "drop one, or give the examples different ids"
                )
            seen[example.key] = split


def _content(split: str, item: Example) -> str:
    return digest(split, item.key, _json(dict(item.inputs)), item.answer, item.solution, _json(dict(item.metadata)))


def _json(data: Mapping[str, object]) -> str:
    # What JSON cannot carry counts by its type: its repr may hold an address.
    return json.dumps(data, ensure_ascii=False, skipkeys=True, default=lambda thing: type(thing).__qualname__)
