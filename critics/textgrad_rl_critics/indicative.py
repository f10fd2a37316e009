"""The critic that says only whether a solution is right, and the answer if it may.

Left out: revealing the reference solution, which a refinement would copy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal, final

from textgrad_rl_critics.critic import Critic, assess, check, lowest
from textgrad_rl_critics.references import answer_of
from textgrad_rl_graphs.errors import ConfigError
from textgrad_rl_graphs.feedback import Case, Feedback
from textgrad_rl_graphs.feedback import Critic as AnyCritic
from textgrad_rl_graphs.given_critic import as_critic
from textgrad_rl_graphs.trace import Failure
from textgrad_rl_graphs.types import Example, Sees


def indicative_text(correct: bool | None, answer: str | None = None) -> str:
    """Return the indicative critique; empty without a verdict.

    >>> indicative_text(True), indicative_text(False), indicative_text(False, "42")
    ('This solution is correct.', 'This solution is wrong.', 'This solution is wrong. The answer is 42.')
    """
    if correct is None:
        return ""
    revealed = "" if correct or answer is None else f" The answer is {answer}."
    return f"This solution is {'correct' if correct else 'wrong'}.{revealed}"


@final
class Indicative(Critic):
    """Score and verdict of another critic, and a critique that says no more than the verdict.

    The first two critics of Critique-GRPO (https://arxiv.org/abs/2506.03106): indicative, and indicative with the
    reference answer.

    Args:
        verifier: who decides, usually a Verifier.
        reveal: ``"answer"`` adds the reference answer to the critique of a wrong solution.
        name: how records call it.
    """

    def __init__(
        self, verifier: AnyCritic, *, reveal: Literal["answer"] | None = None, name: str = "indicative"
    ) -> None:
        if reveal not in (None, "answer"):
            raise ConfigError(f"reveal is None or 'answer', got {reveal!r}")
        self.verifier = as_critic(verifier, "Indicative(...)")
        self.reveal = reveal
        self.name = name
        self.lowest = lowest(verifier)

    def check(self, examples: Iterable[Example]) -> None:
        kept = list(examples)
        check([self.verifier], kept)
        for example in kept if self.reveal else ():
            answer_of(example, wanted_by="Indicative(reveal='answer')")

    async def judge(self, cases: Sequence[Case], *, critiques: bool) -> Sequence[Feedback | Failure]:
        verdicts = await assess(self.verifier, cases, critiques=False)
        return [
            self._say(case, verdict, critiques) if verdict.fault is None else verdict
            for case, verdict in zip(cases, verdicts, strict=True)
        ]

    def _say(self, case: Case, verdict: Feedback, critiques: bool) -> Feedback:
        if not critiques:
            return replace(verdict, critique="", sees="nothing")
        revealed = self.reveal is not None and verdict.correct is False
        text = indicative_text(verdict.correct, case.example.answer if revealed else None)
        sees: Sees = "answer" if revealed else "nothing"
        return replace(verdict, critique=text, sees=sees)
