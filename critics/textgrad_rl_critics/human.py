"""The critic that is a person, at the terminal or through a folder."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import final

from textgrad_rl_critics.critic import Critic
from textgrad_rl_critics.review_folder import ReviewFolder
from textgrad_rl_critics.sheet import Opinion, Sheet
from textgrad_rl_critics.shown import as_sees, shown
from textgrad_rl_critics.terminal import Terminal
from textgrad_rl_graphs.errors import ConfigError
from textgrad_rl_graphs.feedback import Case, Feedback
from textgrad_rl_graphs.sync import in_thread
from textgrad_rl_graphs.trace import Failure
from textgrad_rl_graphs.types import Example, Sees

_LOG = logging.getLogger(__name__)


@final
class Human(Critic):
    """Asks a person for a score or a verdict, and for words.

    Args:
        folder: None asks at the terminal. With a folder, ``pending.jsonl`` there says what is open; a line of it,
            filled in (``score`` from 0 to 1 or ``correct``, and ``critique``) and appended to ``answers.jsonl``, is an
            answer. Answers stay there, so a run that is started again asks nothing twice.
        terminal: asks there although there is a folder, which then only keeps the answers; or other streams than those
            of the process.
        sees: what of the reference is shown: ``"nothing"``, ``"answer"``, or ``"solution"`` (with the answer if there
            is one).
        timeout_s: how many seconds to wait for answers in the folder; None waits as long as it takes.
        poll_s: seconds between two looks at the folder.
        name: how records call it.

    Equal responses to equal questions are asked about once. What is left out, or not answered in time, is unscored.
    A verdict without a score scores 1 or 0; a score alone gives no verdict.

    Raises:
        ConfigError: for times that are none; in ``check`` and before anybody is asked, when there is no terminal.
    """

    def __init__(
        self,
        folder: str | Path | None = None,
        *,
        terminal: Terminal | None = None,
        sees: Sees = "answer",
        timeout_s: float | None = None,
        poll_s: float = 1.0,
        name: str = "human",
    ) -> None:
        if poll_s <= 0 or (timeout_s is not None and timeout_s < 0):
            raise ConfigError(f"poll_s must be > 0 and timeout_s >= 0 or None, got {poll_s} and {timeout_s}")
        self._terminal = Terminal() if folder is None and terminal is None else terminal
        self._known: dict[str, Opinion] = {}
        self._waits: list[dict[str, Sheet]] = []
        self.sees: Sees = as_sees(sees)
        self._folder = None if folder is None else ReviewFolder(folder)
        self.timeout_s = timeout_s
        self.poll_s = poll_s
        self.name = name

    def check(self, examples: Iterable[Example]) -> None:
        if self._terminal is not None and self._folder is None:  # answers in a folder may be all that is needed
            self._terminal.check()
        for example in examples:
            shown(example, self.sees, wanted_by=f"Human(sees={self.sees!r})")

    async def judge(self, cases: Sequence[Case], *, critiques: bool) -> Sequence[Feedback | Failure]:
        sheets = [Sheet.of(case, self.sees) for case in cases]
        self._read()
        missing = {sheet.id: sheet for sheet in sheets if sheet.id not in self._known}
        if missing and self._terminal is not None:
            await in_thread(self._terminal.ask, list(missing.values()), self._keep)
            reason = "it was left out at the terminal"
        elif missing and self._folder is not None:
            await self._wait(missing, self._folder)
            reason = f"no answer in {self._folder.answers} within {self.timeout_s} s"
        return [
            self._feedback(self._known[sheet.id], critiques) if sheet.id in self._known else Failure(self.name, reason)
            for sheet in sheets
        ]

    def _feedback(self, opinion: Opinion, critiques: bool) -> Feedback:
        critique = opinion.critique if critiques else ""
        return Feedback(score=opinion.score, correct=opinion.correct, critique=critique, sees=self.sees)

    def _read(self) -> None:
        if self._folder is not None:
            self._known |= self._folder.read()

    def _keep(self, sheet: Sheet, opinion: Opinion) -> None:
        self._known[sheet.id] = opinion
        if self._folder is not None:
            self._folder.add(sheet, opinion)

    async def _wait(self, missing: dict[str, Sheet], folder: ReviewFolder) -> None:
        """Return when all is answered, or the time is over."""
        self._waits.append(missing)
        self._publish(folder)
        _LOG.warning("%s waits for %d answers: %s", self.name, len(missing), folder.pending)
        end = None if self.timeout_s is None else time.monotonic() + self.timeout_s
        try:
            while not missing.keys() <= self._known.keys() and (end is None or time.monotonic() < end):
                await asyncio.sleep(self.poll_s if end is None else max(0.0, min(self.poll_s, end - time.monotonic())))
                self._read()
        finally:
            self._waits.remove(missing)
            self._publish(folder)

    def _publish(self, folder: ReviewFolder) -> None:
        """Say what any call still waits for; several may wait for the same sheet."""
        waited = {key: sheet for wait in self._waits for key, sheet in wait.items() if key not in self._known}
        folder.publish(list(waited.values()))
