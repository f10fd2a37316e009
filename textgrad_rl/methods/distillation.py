"""Self-distillation: the policy, shown the critique of its response, teaches the policy that was not.

    -sg(lr - lp) lp,   lr: log-probability of the response's own tokens under the prompt that shows the critique

Its expected gradient over the policy's own samples is that of the divergence KL(policy || teacher): every token has
its own advantage, how much likelier the teacher finds it. Rewards do not enter.

Source: SDPO, https://arxiv.org/abs/2601.20802. Left out: its divergences over the whole vocabulary, and a teacher that
lags behind the policy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from torch import Tensor

    from textgrad_rl.methods.tokens import Tokens


@final
@dataclass(frozen=True, slots=True)
class Distilled:
    """``-sg(lr - lp) lp``; rows have to carry the teacher's log-probabilities."""

    def __call__(self, tokens: Tokens) -> Tensor:
        return -(tokens.lr_N - tokens.lp_N.detach()) * tokens.lp_N

    def clipped(self, tokens: Tokens) -> Tensor:
        import torch

        return torch.zeros_like(tokens.refinement_N)
