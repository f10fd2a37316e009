"""Tasks by name: questions in four splits without overlap.

    reasoning_gym:NAME     questions drawn by reasoning-gym: ``size=``, ``seed=`` and the data set's own settings
    gsm8k                  grade-school word problems; ``path=`` a folder with train.jsonl and test.jsonl, or the hub
    path/to/file.jsonl     a JSON Lines file: ``question=``, ``answer=``, ``solution=`` or ``inputs=`` name its columns
    hf:org/name            a Hugging Face data set: the same, ``config=`` and ``split=``

Splits are chosen by a hash of the question, so they cannot overlap; see :mod:`textgrad_rl.tasks.splits`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from textgrad_rl.tasks.task import Task
from textgrad_rl_graphs.errors import ConfigError, UnknownNameError

__all__ = ["Task", "load"]

_FORMS = ("gsm8k", "hf:org/name", "path/to/file.jsonl", "reasoning_gym:chain_sum")


def load(name: str, **options: Any) -> Task:
    """Return the task of a name.

    Args:
        name: one of the forms in the module's docstring.
        options: what that form takes, e.g. ``size=20000``, ``question="problem"``.

    Raises:
        UnknownNameError: a name of no form, or a data set that reasoning-gym does not have.
        ConfigError: an option that the form does not take.
        DataError: data that is missing, empty or lacks a column.

    >>> load("reasoning_gym:chain_sum", size=200).train[0].inputs["question"][:21]
    'State the final answe'
    """
    scheme, _, rest = name.partition(":")
    if scheme == "reasoning_gym" and rest:
        from textgrad_rl.tasks.reasoning_gym import load_reasoning_gym

        return _call(load_reasoning_gym, (rest,), name, options)
    if name == "gsm8k":
        from textgrad_rl.tasks.gsm8k import load_gsm8k

        return _call(load_gsm8k, (), name, options)
    if scheme == "hf" and rest:
        from textgrad_rl.tasks.hugging_face import load_hugging_face

        return _call(load_hugging_face, (rest,), name, options)
    if name.endswith(".jsonl"):
        from textgrad_rl.tasks.jsonl import load_jsonl

        return _call(load_jsonl, (name,), name, options)
    raise UnknownNameError("task", name, _FORMS)


def _call(loader: Callable[..., Task], args: tuple[str, ...], name: str, options: dict[str, Any]) -> Task:
    """Call a loader, after checking that it knows every option."""
    parameters = inspect.signature(loader).parameters.values()
    known = sorted(item.name for item in parameters if item.kind is inspect.Parameter.KEYWORD_ONLY)
    if not any(item.kind is inspect.Parameter.VAR_KEYWORD for item in parameters):
        for option in options:
            if option not in known:
                raise ConfigError(f"the task {name!r} takes no option {option!r}; it takes {', '.join(known)}")
    return loader(*args, **options)
