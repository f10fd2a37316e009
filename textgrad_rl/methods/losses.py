"""A loss is a composition: a term for samples, one for refinements, a mismatch weight, KL, entropy, an aggregation.

The loss is ``sum over rows of (row weight * sum over tokens of term - entropy weight * sum over tokens of entropy)``.
Both weights hold their denominators and are computed once over all rows of an optimizer step
(:mod:`textgrad_rl.methods.aggregation`); terms are computed per micro-batch
(:class:`textgrad_rl.methods.tokens.Tokens`), one family per file.

Left out: an entropy bonus that adapts to a target.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import TYPE_CHECKING, Literal, Protocol, Self, final

from textgrad_rl.methods.aggregation import Aggregation, aggregate, check_aggregation, token_mean
from textgrad_rl.methods.clip import Clip
from textgrad_rl.methods.distillation import Distilled
from textgrad_rl.methods.kl import KL, kl_estimate
from textgrad_rl.methods.mismatch import Mismatch
from textgrad_rl_graphs.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

    from textgrad_rl.methods.tokens import Tokens
    from textgrad_rl.policies.rows import Row


class Term(Protocol):
    """The policy term of a token, as a function of all tokens; e.g. :class:`textgrad_rl.methods.clip.Clip`."""

    def __call__(self, tokens: Tokens) -> Tensor:
        """Return the term of every token, (N,)."""
        ...

    def clipped(self, tokens: Tokens) -> Tensor:
        """Return where a bound of the term holds, (N,); logged as a share."""
        ...


class Loss(Protocol):
    """What a policy needs to know of a loss."""

    def row_weights(self, rows: Sequence[Row]) -> list[float]:
        """Return what every token term of a row is multiplied with; 0 where the row has nothing to teach."""
        ...

    def entropy_weights(self, rows: Sequence[Row]) -> list[float]:
        """Return what the entropy at every token of a row is multiplied with, to be taken from the loss; 0 for none."""
        ...

    def for_other_sampler(self) -> Self:
        """Return the loss for rows that another engine than the trainer sampled."""
        ...

    def token_terms(self, tokens: Tokens) -> Tensor:
        """Return the loss term of every token, (N,)."""
        ...

    def marks(self, tokens: Tokens) -> Mapping[str, Tensor]:
        """Return named sets of tokens, (N,) each, whose shares are logged."""
        ...


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyLoss:
    """Terms and aggregation of a loss; names and numbers only.

    Args:
        term: of samples.
        refinement: term of refinements; None trains them as samples.
        mismatch: weight for a sampler that is not exactly the trainer. ``"auto"`` is ``Mismatch()`` where the policy
            samples with another engine than it trains with, and nothing else; None for none.
        kl: penalty for leaving the first weights; None for none.
        entropy: coefficient of a bonus for the mean entropy over the tokens of all rows, > 0, in units of loss per nat;
            None for none. The mean is its own, whatever the aggregation of the terms.
        aggregation: see :mod:`textgrad_rl.methods.aggregation`.
        length: tokens, for ``"constant_length"``.

    Raises:
        ConfigError: for parts that do not fit together.
    """

    term: Term = Clip()  # noqa: RUF009  # frozen, so sharing it is safe
    refinement: Term | None = None
    mismatch: Mismatch | Literal["auto"] | None = "auto"
    kl: KL | None = None
    entropy: float | None = None
    aggregation: Aggregation = "sequence_mean"
    length: int | None = None

    def __post_init__(self) -> None:
        """Reject combinations that cannot be computed."""
        check_aggregation(self.aggregation, self.length)
        if isinstance(self.mismatch, str) and self.mismatch != "auto":
            raise ConfigError(f'mismatch is a Mismatch, "auto" or None, got {self.mismatch!r}')
        if self.entropy is not None and not 0 < self.entropy < inf:
            raise ConfigError(f"the entropy coefficient must be > 0, got {self.entropy}; for none leave entropy=None")
        if isinstance(self.refinement, Distilled):
            raise ConfigError("self-distillation is a term of samples: term=Distilled()")
        if isinstance(self.term, Distilled) and (self.kl or self.refinement):
            raise ConfigError("term=Distilled() goes with no KL (a row carries one reference) and with no refinements")

    @property
    def reference(self) -> Literal["frozen", "critique"] | None:
        """Whose log-probabilities rows have to carry: of the first weights, or of the policy shown the critique."""
        if isinstance(self.term, Distilled):
            return "critique"
        return None if self.kl is None else "frozen"

    def row_weights(self, rows: Sequence[Row]) -> list[float]:
        """Return the weight of every row's tokens; 0 for rows without what the loss learns from.

        That is an advantage, or the log-probabilities of the reference where there is one.
        """
        weights = aggregate(self.aggregation, rows, self.length)
        live = [bool(row.reference_logprobs) if self.reference else row.advantage != 0 for row in rows]
        return [weight if lives else 0.0 for weight, lives in zip(weights, live, strict=True)]

    def entropy_weights(self, rows: Sequence[Row]) -> list[float]:
        """Return the weight of the entropy at every row's tokens: of a mean over all tokens of the step."""
        return [(self.entropy or 0.0) * weight for weight in token_mean(rows)]

    def for_other_sampler(self) -> Self:
        """Return the loss with its mismatch weight, where that is left to the policy."""
        return replace(self, mismatch=Mismatch()) if self.mismatch == "auto" else self

    def token_terms(self, tokens: Tokens) -> Tensor:
        """Return the loss term of every token, (N,)."""
        import torch

        terms_N = self.term(tokens)
        if self.refinement is not None:
            terms_N = torch.where(tokens.refinement_N, self.refinement(tokens), terms_N)
        if isinstance(self.mismatch, Mismatch):
            terms_N = self.mismatch.weight(tokens) * terms_N
        if self.kl is not None:
            terms_N = terms_N + self.kl.coefficient * kl_estimate(tokens.lp_N, tokens.lr_N, self.kl.estimator)
        return terms_N

    def marks(self, tokens: Tokens) -> dict[str, Tensor]:
        """Return where a bound of the terms holds, and what the mismatch weight truncates and drops."""
        import torch

        clipped_N = self.term.clipped(tokens)
        if self.refinement is not None:
            clipped_N = torch.where(tokens.refinement_N, self.refinement.clipped(tokens), clipped_N)
        marks = {"clipped": clipped_N}
        if isinstance(self.mismatch, Mismatch):
            marks |= {"truncated": self.mismatch.truncated(tokens), "dropped": self.mismatch.dropped(tokens)}
        return marks
