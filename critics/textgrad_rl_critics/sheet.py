"""What a person is shown of a case, and what they say about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from textgrad_rl_critics.references import question_of
from textgrad_rl_critics.shown import shown
from textgrad_rl_graphs.errors import ParseError
from textgrad_rl_graphs.feedback import Case
from textgrad_rl_graphs.hashing import digest
from textgrad_rl_graphs.types import Sees

_RIGHT = ("right", "correct", "r", "yes", "y")
_WRONG = ("wrong", "incorrect", "w", "no", "n")


@dataclass(frozen=True, slots=True)
class Sheet:
    """A case as a person sees it; equal ones are judged once.

    Attributes:
        id: a digest of the rest.
        question, response: what was asked and answered.
        answer, solution: the reference, None where it may not be seen.
    """

    id: str
    question: str
    response: str
    answer: str | None = None
    solution: str | None = None

    @classmethod
    def of(cls, case: Case, sees: Sees) -> Sheet:
        """Return the sheet of a case."""
        texts = (question_of(case.example), case.text, *shown(case.example, sees, wanted_by=f"Human(sees={sees!r})"))
        return cls(digest("sheet", *texts), *texts)

    def record(self) -> dict[str, Any]:
        """Return a line of ``pending.jsonl``: what is shown, and the fields to fill in."""
        told = {name: text for name, text in asdict(self).items() if text is not None}
        return {**told, "score": None, "correct": None, "critique": ""}


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a person says about a sheet.

    Attributes:
        score: in [0, 1], higher is better.
        correct: the verdict, None when there is only a score.
        critique: how the response should change.
    """

    score: float
    correct: bool | None = None
    critique: str = ""


def opinion_of(record: Mapping[str, Any]) -> Opinion | None:
    """Read a line of ``answers.jsonl``; a verdict without a score scores 1 or 0. None when neither is filled in.

    Raises:
        ParseError: for fields that cannot be meant.

    >>> opinion_of({"id": "a", "correct": False, "critique": "Carry the ten."})
    Opinion(score=0.0, correct=False, critique='Carry the ten.')
    """
    score, correct, critique = record.get("score"), record.get("correct"), record.get("critique", "")
    if correct is not None and not isinstance(correct, bool):
        raise ParseError(f"'correct' is {correct!r}, neither true, false nor null")
    if not isinstance(critique, str):
        raise ParseError(f"'critique' is {critique!r}, not text")
    if score is None:
        return None if correct is None else Opinion(float(correct), correct, critique)
    if not isinstance(score, int | float) or isinstance(score, bool) or not 0 <= score <= 1:
        raise ParseError(f"'score' is {score!r}, not a number from 0 to 1")
    return Opinion(float(score), correct, critique)


def typed_opinion(text: str) -> Opinion:
    """Read what a person types: ``right``, ``wrong`` (or ``r``, ``w``), or a score from 0 to 1.

    Raises:
        ParseError: for anything else.

    >>> typed_opinion("w"), typed_opinion("0.7")
    (Opinion(score=0.0, correct=False, critique=''), Opinion(score=0.7, correct=None, critique=''))
    """
    word = text.strip().lower()
    if word in _RIGHT or word in _WRONG:
        return Opinion(float(word in _RIGHT), word in _RIGHT)
    try:
        score = float(word)
    except ValueError:
        score = -1.0
    if not 0 <= score <= 1:
        raise ParseError(f"{word!r} is neither right nor wrong nor a number from 0 to 1")
    return Opinion(score)
