"""Tasks from reasoning-gym, which draws questions of a hundred kinds (https://github.com/open-thought/reasoning-gym).

Its item i is drawn with seed + i, so data sets with neighbouring seeds share almost all items, and small numbers
repeat under any seeds. Here items are deduplicated and the hash of the question picks the split: whatever the seeds,
sizes and settings of two loads, the training questions of one are never test questions of the other.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from textgrad_rl.tasks.splits import CHAIN_SUM_SPLITS
from textgrad_rl.tasks.task import Task
from textgrad_rl_graphs.errors import ConfigError, UnknownNameError
from textgrad_rl_graphs.types import Example

_CHAIN_SUM = {"min_terms": 2, "max_terms": 5, "min_digits": 1, "max_digits": 2}


def load_reasoning_gym(
    name: str, *, size: int = 5000, seed: int = 0, fractions: Mapping[str, float] | None = None, **config: Any
) -> Task:
    """Return a task of one reasoning-gym data set.

    Args:
        name: the data set, e.g. ``"chain_sum"``.
        size: items to draw, before repeated ones are dropped (and, for chain_sum, the half that the embedded model
            was pretrained on).
        seed: seed of the first item.
        fractions: share of each split; defaults to train 0.6, gate 0.1, validation 0.1, test 0.2. Those of chain_sum
            are fixed, since the embedded model's pretraining set is one of its splits.
        config: settings of the data set; chain_sum defaults to the settings the embedded model knows.

    Raises:
        UnknownNameError: a data set that reasoning-gym does not have.
        ConfigError: a setting that the data set does not have or refuses.
    """
    from reasoning_gym.factory import DATASETS, create_dataset

    if name not in DATASETS:
        raise UnknownNameError("reasoning_gym data set", name, DATASETS)
    if size < 1:
        raise ConfigError(f"size must be at least 1, got {size}")
    if name == "chain_sum":
        if fractions is not None:
            raise ConfigError(
                f"the splits of chain_sum are fixed ({', '.join(f'{k} {v}' for k, v in CHAIN_SUM_SPLITS.items())}), so "
                "that the embedded model's pretraining questions stay out; drop fractions="
            )
        fractions, config = CHAIN_SUM_SPLITS, {**_CHAIN_SUM, **config}
    known = {field.name for field in dataclasses.fields(DATASETS[name][1])} - {"seed", "size"}
    for option in config:
        if option not in known:
            raise UnknownNameError(f"setting of reasoning_gym:{name}", option, known)
    try:
        dataset = create_dataset(name, seed=seed, size=size, **config)
    except (AssertionError, TypeError, ValueError) as error:
        raise ConfigError(f"reasoning_gym:{name} refuses its settings {config}: {error}") from error
    return Task.of(f"reasoning_gym:{name}", _examples(name, dataset, size), fractions)


def _examples(name: str, dataset: Any, size: int) -> Iterator[Example]:
    seen: set[str] = set()
    for index in range(size):
        entry = dict(dataset[index])
        if entry["question"] not in seen:
            seen.add(entry["question"])
            answer = None if entry["answer"] is None else str(entry["answer"])
            yield Example({"question": entry["question"]}, answer=answer, metadata={"entry": entry, "dataset": name})
