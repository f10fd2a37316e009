"""Training rows: a prefix tree of tokens, with an advantage for what was sampled.

Group members share the Segment of their prompt. What rows share is computed once, also where they hold it in Segments
of their own: it is found by comparing tokens (:mod:`textgrad_rl.policies.prefix_tree`). Tokens are kept as sampled:
nothing is decoded and encoded again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """A run of context tokens and what came before it."""

    ids: tuple[int, ...]
    parent: Segment | None = None

    def tokens(self) -> tuple[int, ...]:
        """Return all tokens from the root to the end of this segment.

        >>> Segment((3,), Segment((1, 2))).tokens()
        (1, 2, 3)
        """
        parts: list[tuple[int, ...]] = []
        segment: Segment | None = self
        while segment is not None:
            parts.append(segment.ids)
            segment = segment.parent
        return tuple(token for ids in reversed(parts) for token in ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One sequence to train on.

    Args:
        context: the tokens it is conditioned on; for a refinement the node's own prompt, without the critique.
        output_ids: the tokens that are trained, EOS included.
        logprobs: their log-probabilities under the sampler, (T,); for a refinement drawn in another context.
        advantage: credit, positive for better than its group.
        reward: the score it got.
        group: rows of one group share a baseline.
        kind: ``"sample"`` (trained by the policy term) or ``"refinement"`` (trained by the shaped term).
        temperature: the one it was sampled with, > 0; log-probabilities are those of the tempered distribution.
        weight: share of its (example, sample): 1 / number of calls of the policy in that trace.
        source: ``trace id/call key``, for records.
        reference_logprobs: of the output tokens under a reference model or context, (T,); empty without one.
    """

    context: Segment
    output_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    advantage: float
    reward: float
    group: str
    kind: Literal["sample", "refinement"] = "sample"
    temperature: float = 1.0
    weight: float = 1.0
    source: str = ""
    reference_logprobs: tuple[float, ...] = ()
