"""A loss is a composition: a term for samples, one for refinements, a mismatch weight, a KL term, an aggregation.

The loss is ``sum over rows of row weight * sum over tokens of term``. Row weights hold every denominator and are
computed once over all rows of an optimizer step (:mod:`textgrad_rl.methods.aggregation`); terms are computed per
micro-batch (:class:`textgrad_rl.methods.tokens.Tokens`), one family per file.

Left out: an entropy bonus (the policy computes the entropy without a gradient).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, final

from textgrad_rl.methods.aggregation import Aggregation, aggregate, check_aggregation
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
        """Return what every token term of a row is multiplied with; 0 where the row cannot have a gradient."""
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
        mismatch: weight for a sampler that is not exactly the trainer; None for none.
        kl: penalty for leaving the first weights; None for none.
        aggregation: see :mod:`textgrad_rl.methods.aggregation`.
        length: tokens, for ``"constant_length"``.

    Raises:
        ConfigError: for parts that do not fit together.
    """

    term: Term = Clip()  # noqa: RUF009  # frozen, so sharing it is safe
    refinement: Term | None = None
    mismatch: Mismatch | None = None
    kl: KL | None = None
    aggregation: Aggregation = "sequence_mean"
    length: int | None = None

    def __post_init__(self) -> None:
        """Reject combinations that cannot be computed."""
        check_aggregation(self.aggregation, self.length)
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

    def token_terms(self, tokens: Tokens) -> Tensor:
        """Return the loss term of every token, (N,)."""
        import torch

        terms_N = self.term(tokens)
        if self.refinement is not None:
            terms_N = torch.where(tokens.refinement_N, self.refinement(tokens), terms_N)
        if self.mismatch is not None:
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
        if self.mismatch is not None:
            marks |= {"truncated": self.mismatch.truncated(tokens), "dropped": self.mismatch.dropped(tokens)}
        return marks
