"""Ready-made functions for :class:`~textgrad_rl_critics.verifier.Verifier`: each call makes one ``(text, example)``.

Those with more to them have a file each: :mod:`~textgrad_rl_critics.expressions`,
:mod:`~textgrad_rl_critics.format_rules`, :mod:`~textgrad_rl_critics.unit_tests`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol, final

from textgrad_rl_critics.equality import quantity, same_answer
from textgrad_rl_critics.references import answer_of, question_of
from textgrad_rl_critics.spans import final_answer, without_quotation
from textgrad_rl_graphs.errors import DataError, UnknownNameError
from textgrad_rl_graphs.sync import run
from textgrad_rl_graphs.types import Example

Extract = Callable[[str], str]


class Scorer(Protocol):
    """A function of what was answered and the example; 1 is right. With ``check``, examples are looked at first."""

    @property
    def __name__(self) -> str: ...

    def __call__(self, text: str, example: Example, /) -> float | bool:
        """Return the score in [0, 1]."""
        ...


@final
class WaitingScorer:
    """A scorer that waits for another process: ``ascore`` is what the Verifier awaits, the call is its blocking twin.

    Args:
        name: of the scorer, its ``__name__``.
        ascore: ``(text, example)`` to the score in [0, 1].
        check: raises DataError for an example that lacks what the scorer needs.
    """

    def __init__(
        self,
        name: str,
        ascore: Callable[[str, Example], Coroutine[Any, Any, float | bool]],
        check: Callable[[Example], object],
    ) -> None:
        self.__name__ = name
        self.ascore = ascore
        self.check = check

    def __call__(self, text: str, example: Example) -> float | bool:
        """Return the score; works in a running event loop too."""
        return run(self.ascore(text, example))


def exact_match(*, extract: Extract = final_answer) -> Scorer:
    """Return a scorer that compares the final answer with ``example.answer``, numbers by value.

    The forms of a number are those of :mod:`textgrad_rl_critics.equality`. A number that stands only in a quotation of
    the question is no answer.

    Args:
        extract: what of the response is the answer; see :mod:`textgrad_rl_critics.spans`.

    >>> exact_match()("16 - 7 = 9 eggs, 9 * 2 = 18. Answer: $18.00", Example({"question": "?"}, answer="18"))
    True
    """

    def exact_match(text: str, example: Example) -> bool:
        gold = answer_of(example, wanted_by="exact_match")
        return same_answer(extract(text), gold) and not only_quoted(text, example, gold, extract)

    return checked(exact_match, lambda example: answer_of(example, wanted_by="exact_match"))


def only_quoted(text: str, example: Example, gold: str, extract: Extract) -> bool:
    """Return whether a right number is right no longer without what the response copies from the question."""
    if quantity(gold) is None:  # an answer in words may be a passage of the question
        return False
    rest = without_quotation(text, question_of(example))
    return rest != text and not same_answer(extract(rest), gold)


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

    return checked(reasoning_gym, entry_of)


def checked(score: Callable[[str, Example], float | bool], check: Callable[[Example], object]) -> Scorer:
    """Attach what the Verifier calls before anything is paid."""
    score.check = check  # type: ignore[attr-defined]  # functions take attributes
    return score
