"""Ready-made functions for :class:`~textgrad_rl_critics.verifier.Verifier`: each call makes one ``(text, example)``.

Those with more to them have a file each: :mod:`~textgrad_rl_critics.expressions`,
:mod:`~textgrad_rl_critics.format_rules`, :mod:`~textgrad_rl_critics.unit_tests`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol, final

from textgrad_rl_critics.equality import quantity, same_answer
from textgrad_rl_critics.quotation import without_quotation
from textgrad_rl_critics.references import answer_of, question_of
from textgrad_rl_critics.spans import final_answer, words
from textgrad_rl_critics.units import strange_words
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
        return same_answer(extract(text), gold) and unambiguous(text, example, gold, extract)

    return checked(exact_match, lambda example: answer_of(example, wanted_by="exact_match"))


def unambiguous(text: str, example: Example, gold: str, extract: Extract) -> bool:
    """Return whether a right answer is one answer of the response's own.

    It is none when it is right no longer without what the response quotes from the question, nor when more than one
    word of its unit comes from nowhere: not from the question, the reference or the table of units, as in "18
    something else". An answer in words may be a passage of the question.
    """
    question, answer = question_of(example), extract(text)
    found = quantity(answer)
    if found is None and f" {' '.join(words(gold))} " in f" {' '.join(words(question))} ":
        return True
    if found is not None and " " in found.unit and len(strange_words(found.unit, {*words(question), *words(gold)})) > 1:
        return False
    rest = without_quotation(text, question)
    return rest == text or (kept := extract(rest)) == answer or same_answer(kept, gold)


def reasoning_gym(dataset: str, *, extract: Extract = final_answer) -> Scorer:
    """Return the scorer of a reasoning-gym data set (https://github.com/open-thought/reasoning-gym).

    A number that stands only in a quotation of the question is no answer, as for :func:`exact_match`.

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
        entry = entry_of(example)
        found = float(score(answer=extract(text), entry=entry))
        if quantity(str(entry.get("answer"))) is None:  # it may be a passage of the question
            return found
        rest = without_quotation(text, question_of(example))
        return found if rest == text else min(found, float(score(answer=extract(rest), entry=entry)))

    return checked(reasoning_gym, entry_of)


def checked(score: Callable[[str, Example], float | bool], check: Callable[[Example], object]) -> Scorer:
    """Attach what the Verifier calls before anything is paid."""
    score.check = check  # type: ignore[attr-defined]  # functions take attributes
    return score
