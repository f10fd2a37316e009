"""Textual gradient descent: rewrite a prompt as the feedback on it says.

    prompt  <-  rewrite(prompt, feedback)

Source: TextGrad, https://arxiv.org/abs/2406.07496, section 2. Unlike there, the feedback of a whole batch is counted
and bounded before it is shown, the prompt is shown whole, and versions that lost at the gate are remembered.

Left out so far: momentum, populations, demonstrations as parameters.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from textgrad_rl_graphs.errors import ConfigError, ModelError, ParseError
from textgrad_rl_graphs.gradient import Gradients, TextGradient
from textgrad_rl_graphs.hashing import derive_seed
from textgrad_rl_graphs.model import Model
from textgrad_rl_graphs.prompt import Prompt
from textgrad_rl_graphs.roles import RewriteRole, consult
from textgrad_rl_graphs.sync import blocking
from textgrad_rl_graphs.types import Sampling


@dataclass(frozen=True, slots=True)
class Proposal:
    """A new text for a prompt.

    Attributes:
        path: the prompt's path in the graph.
        prompt: the prompt itself, still with its old text.
        text: the new text; the old one when there is nothing to try (then ``reason`` says why).
        feedback: what it answers to: (text, how often).
        reason: why there is nothing to try, else "".
    """

    path: str
    prompt: Prompt
    text: str
    feedback: tuple[tuple[str, int], ...] = ()
    reason: str = ""


@final
class TextualGradientDescent:
    """Proposes new prompts from gradients.

    Args:
        model: writes the new versions, and the feedback in the trainer's backward.
        feedback_limit: distinct pieces of feedback shown to it, the most frequent first.
        rejected_limit: lost versions shown to it, the latest first.
        sampling: how it answers.
        retries: further attempts when an answer cannot be read.

    Raises:
        ConfigError: for limits below 1.
    """

    def __init__(
        self,
        *,
        model: Model,
        feedback_limit: int = 4,
        rejected_limit: int = 4,
        sampling: Sampling | None = None,
        retries: int = 2,
    ) -> None:
        """Start with an empty memory."""
        if feedback_limit < 1 or rejected_limit < 1:
            raise ConfigError("feedback_limit and rejected_limit must be at least 1")
        self.model = model
        self.feedback_limit = feedback_limit
        self.rejected_limit = rejected_limit
        self.sampling = sampling or Sampling()
        self.retries = retries
        self.rejected: dict[str, list[str]] = {}

    async def apropose(
        self, parameters: Mapping[str, object], gradients: Gradients, *, seed: int = 0, step: int = 0
    ) -> list[Proposal]:
        """Return one proposal for every prompt that has a gradient, in the order of the parameters."""
        wanted = [
            (path, prompt, gradients.prompts[path])
            for path, prompt in parameters.items()
            if isinstance(prompt, Prompt) and gradients.prompts.get(path)
        ]
        return list(await asyncio.gather(*(self._propose(*item, derive_seed(seed, step, item[0])) for item in wanted)))

    propose = blocking(apropose)

    async def _propose(self, path: str, prompt: Prompt, gradient: TextGradient, seed: int) -> Proposal:
        feedback = tuple(gradient.counted()[: self.feedback_limit])
        rejected = self.rejected.get(path, [])
        role, dialect = RewriteRole(), self.model.dialect
        messages = role.render(
            dialect, prompt=prompt.text, feedback=feedback, describe=prompt.describe, constraints=prompt.constraints,
            rejected=rejected[: -self.rejected_limit - 1 : -1],
        )  # fmt: skip
        try:
            consultation = await consult(
                self.model, "rewrite", messages, lambda text: role.parse(dialect, text),
                seed_for=lambda attempt: derive_seed(seed, "rewrite", attempt),
                sampling=self.sampling, retries=self.retries,
            )  # fmt: skip
        except (ModelError, ParseError) as error:
            return Proposal(path, prompt, prompt.text, feedback, f"no rewrite: {error}")
        text = consultation.result
        reason = "unchanged" if text == prompt.text else "lost before" if text in rejected else ""
        return Proposal(path, prompt, text, feedback, reason)

    def reject(self, proposal: Proposal) -> None:
        """Remember a version that lost, so that it is not tried again."""
        self.rejected.setdefault(proposal.path, []).append(proposal.text)

    def state(self) -> dict[str, Any]:
        """Return the memory, for a checkpoint."""
        return {"rejected": self.rejected}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take back what :meth:`state` returned."""
        self.rejected = {path: list(texts) for path, texts in state["rejected"].items()}

    def __repr__(self) -> str:
        """Show the settings; a run is continued by an equal one."""
        return (
            f"TextualGradientDescent(model={self.model.name!r}, feedback_limit={self.feedback_limit}, "
            f"rejected_limit={self.rejected_limit}, sampling={self.sampling}, retries={self.retries})"
        )
