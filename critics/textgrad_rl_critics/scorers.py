"""Ready-made functions for :class:`~textgrad_rl_critics.verifier.Verifier`: each call makes one ``(text, example)``.

Left out: running unit tests, which wants a sandbox; a Verifier takes any function that does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

from textgrad_rl_critics.equality import same_answer
from textgrad_rl_critics.references import answer_of
from textgrad_rl_critics.spans import final_answer
from textgrad_rl_graphs.errors import DataError, MissingPackageError, UnknownNameError
from textgrad_rl_graphs.types import Example

Extract = Callable[[str], str]


class Scorer(Protocol):
    """A function of what was answered and the example; 1 is right. With ``check``, examples are looked at first."""

    __name__: str

    def __call__(self, text: str, example: Example, /) -> float | bool:
        """Return the score in [0, 1]."""
        ...


def exact_match(*, extract: Extract = final_answer) -> Scorer:
    """Return a scorer that compares the final answer with ``example.answer``, numbers by value.

    Args:
        extract: what of the response is the answer; see :mod:`textgrad_rl_critics.spans`.

    >>> exact_match()("16 - 7 = 9 eggs, 9 * 2 = 18. Answer: $18.00", Example({"question": "?"}, answer="18"))
    True
    """

    def exact_match(text: str, example: Example) -> bool:
        return same_answer(extract(text), answer_of(example, wanted_by="exact_match"))

    return _checked(exact_match, lambda example: answer_of(example, wanted_by="exact_match"))


def reasoning_gym(dataset: str, *, extract: Extract = final_answer) -> Scorer:
    """Return the scorer of a reasoning-gym data set (https://github.com/open-thought/reasoning-gym).

    Args:
        dataset: its name, e.g. ``"chain_sum"``; ``example.metadata["entry"]`` holds the item it generated.
        extract: what of the response is the answer.

    Raises:
        UnknownNameError: for a name that reasoning-gym does not have.

    >>> entry = {"question": "4 - 1 =", "answer": "3", "metadata": {}}
    >>> reasoning_gym("chain_sum")("Answer: 3", Example({"question": "4 - 1 ="}, metadata={"entry": entry}))
    1.0
    """
    from reasoning_gym.factory import DATASETS, get_score_answer_fn

    if dataset not in DATASETS:
        raise UnknownNameError("reasoning-gym data set", dataset, DATASETS)
    score: Callable[..., float] = get_score_answer_fn(dataset)

    def entry_of(example: Example) -> Any:
        if "entry" not in example.metadata:
            raise DataError(
                f"reasoning_gym({dataset!r}) needs the generated item, and the example {example.key} has none: build "
                "it as Example(inputs, answer=..., metadata={'entry': item})"
            )
        return example.metadata["entry"]

    def reasoning_gym(text: str, example: Example) -> float:
        return float(score(answer=extract(text), entry=entry_of(example)))

    return _checked(reasoning_gym, entry_of)


def math_verify() -> Scorer:
    r"""Return a scorer that compares mathematical expressions (https://github.com/huggingface/Math-Verify).

    Its limit of 5 seconds per expression works in the main thread only; elsewhere (a notebook) there is none.

    Raises:
        MissingPackageError: without the extra ``math``.

    >>> math_verify()(r"So it is $\boxed{\frac{2}{4}}$.", Example({"question": "?"}, answer="$0.5$"))
    True
    """
    try:
        from math_verify import parse, verify
    except ImportError as error:
        raise MissingPackageError("math-verify", "the math_verify scorer", extra="math") from error

    def math_verify(text: str, example: Example) -> bool:
        limit = 5 if threading.current_thread() is threading.main_thread() else None
        gold = answer_of(example, wanted_by="math_verify")
        parsed = parse(gold, parsing_timeout=limit) or parse(f"${gold}$", parsing_timeout=limit)
        return bool(verify(parsed, parse(text, parsing_timeout=limit), timeout_seconds=limit))

    return _checked(math_verify, lambda example: answer_of(example, wanted_by="math_verify"))


def _checked(score: Callable[[str, Example], float | bool], check: Callable[[Example], object]) -> Scorer:
    """Attach what the Verifier calls before anything is paid."""
    score.check = check  # type: ignore[attr-defined]  # functions take attributes
    return score
