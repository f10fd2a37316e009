"""A critique in the making: what :class:`~textgrad_rl_critics.combine.Combine` knows of it between two rounds.

Left out: what thrown-away critiques said; only how many there were is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import final

from textgrad_rl_critics.indicative import indicative_text
from textgrad_rl_graphs.feedback import Case, Feedback
from textgrad_rl_graphs.types import Usage


@final
@dataclass(slots=True, eq=False)
class Draft:
    """A critique in the making.

    Args:
        index: which case of the call it is for.
        case: that case; its attempt goes up with every critique that is thrown away.
        merged: score and verdict.
    """

    index: int
    case: Case
    merged: Feedback
    text: Feedback = field(default_factory=lambda: Feedback(score=None, fault="critic"))
    contradicted: int = 0
    usage: Usage = field(default_factory=Usage)

    @property
    def contradicts(self) -> bool:
        """Whether the latest critique and the yardstick have verdicts, and different ones."""
        verdicts = (self.text.correct, self.merged.correct)
        return self.text.fault is None and None not in verdicts and verdicts[0] != verdicts[1]

    def take(self, text: Feedback) -> None:
        """Keep what the writer said, and count its cost."""
        self.text = text
        self.usage += text.usage

    def throw_away(self) -> None:
        """Count the critique as contradicted, and make the next one another attempt."""
        self.contradicted += 1
        self.case = replace(self.case, attempt=self.case.attempt + 1)

    def finish(self, writer: str) -> Feedback:
        """Return the feedback with the critique, or with the indicative text in its place."""
        failed, contradicts = self.text.fault == "critic", self.contradicts
        replaced = failed or contradicts
        counts = {
            "contradicted": float(self.contradicted + contradicts),
            "replaced": float(replaced),
            "critique_failed": float(failed),
        }
        own = {f"{writer}.{name}": value for name, value in self.text.components.items()}
        return replace(
            self.merged,
            critique=indicative_text(self.merged.correct) if replaced else self.text.critique,
            sees="nothing" if replaced else self.text.sees,
            components={**self.merged.components, **own, **counts},
            usage=self.merged.usage + self.usage,
        )
