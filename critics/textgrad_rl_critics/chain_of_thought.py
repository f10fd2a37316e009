"""The critic that is a model: a step-by-step analysis that ends in a verdict.

A policy as the model is self-critique; nothing else changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import final

from textgrad_rl_critics.critic import Critic
from textgrad_rl_critics.references import answer_of, question_of, solution_of
from textgrad_rl_graphs.errors import ConfigError, ModelError, ParseError
from textgrad_rl_graphs.feedback import Case, Feedback
from textgrad_rl_graphs.model import Model
from textgrad_rl_graphs.roles import CritiqueRole, Verdict, consult
from textgrad_rl_graphs.trace import Failure
from textgrad_rl_graphs.types import Example, Message, Sampling, Sees, Usage


@final
class ChainOfThought(Critic):
    """Asks a model for a critique and a verdict; the score is 1 for "correct", else 0.

    The chain-of-thought critic of Critique-GRPO (https://arxiv.org/abs/2506.03106). As a reward it is as good as the
    model's verdicts; with ``Combine`` the reward comes from elsewhere.

    Args:
        model: the judge, or the policy itself.
        sees: what of the reference it is shown: ``"nothing"``, ``"answer"``, or ``"solution"`` (with the answer if
            there is one).
        retries: further attempts after an answer without a readable verdict; then the case is unscored.
        sampling: how critiques are drawn, by default at temperature 1 without a token limit of ours: an attempt that
            replaces a thrown-away one has to be able to differ.
        name: how records call it.

    The seed of attempt a on a case is ``trace.seed_for(target.key, "critique", case.attempt * (retries + 1) + a)``.
    """

    def __init__(
        self,
        model: Model,
        *,
        sees: Sees = "answer",
        retries: int = 2,
        sampling: Sampling | None = None,
        name: str = "chain_of_thought",
    ) -> None:
        if sees not in ("nothing", "answer", "solution"):
            raise ConfigError(f"sees is 'nothing', 'answer' or 'solution', got {sees!r}")
        if retries < 0:
            raise ConfigError(f"retries must be >= 0, got {retries}")
        self.model = model
        self.sees: Sees = sees
        self.retries = retries
        self.sampling = sampling or Sampling()
        self.name = name
        self._role = CritiqueRole()

    def check(self, examples: Iterable[Example]) -> None:
        for example in examples:
            self._references(example)

    async def judge(self, cases: Sequence[Case], *, critiques: bool) -> Sequence[Feedback | Failure]:
        return await asyncio.gather(*(self._judge(case, critiques) for case in cases))

    async def _judge(self, case: Case, critiques: bool) -> Feedback | Failure:
        spent: list[Usage] = []
        try:
            answered = await consult(
                self.model,
                "critique",
                self.messages(case),
                self._parse,
                seed_for=lambda attempt: self._seed(case, attempt),
                sampling=self.sampling,
                retries=self.retries,
                schema=self._role.schema(self.model.dialect),
                spent=spent,
            )
        except (ModelError, ParseError) as error:
            return Failure(self.name, str(error), usage=Usage.sum(spent))
        verdict = answered.result
        return Feedback(
            score=1.0 if verdict.correct else 0.0,
            correct=verdict.correct,
            critique=verdict.critique if critiques else "",
            sees=self.sees,
            usage=answered.usage,
        )

    def messages(self, case: Case) -> tuple[Message, ...]:
        """Return what the model is asked about a case."""
        answer, solution = self._references(case.example)
        question = question_of(case.example)
        return self._role.render(
            self.model.dialect, question=question, response=case.text, answer=answer, solution=solution
        )

    def _references(self, example: Example) -> tuple[str | None, str | None]:
        wanted_by = f"ChainOfThought(sees={self.sees!r})"
        if self.sees == "nothing":
            return None, None
        if self.sees == "answer":
            return answer_of(example, wanted_by=wanted_by), None
        return example.answer, solution_of(example, wanted_by=wanted_by)

    def _parse(self, text: str) -> Verdict:
        return self._role.parse(self.model.dialect, text)

    def _seed(self, case: Case, attempt: int) -> int:
        assert case.target is not None  # cases without one are policy or infrastructure faults
        return case.trace.seed_for(case.target.key, "critique", case.attempt * (self.retries + 1) + attempt)
