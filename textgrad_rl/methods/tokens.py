"""What a loss sees: the trained tokens of a batch of whole rows, one after another, as flat tensors.

Axis ``_N``: tokens. ``row_N`` says which of them belong together, for what is computed per sequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from torch import Tensor

    from textgrad_rl.policies.rows import Row


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """Log-probabilities of tokens and what is known of them, (N,) each. Only ``lp_N`` has a gradient.

    Args:
        lp_N: under the present weights.
        lo_N: under the weights at batch start.
        ls_N: under the sampler; for a refinement in the context it was written in.
        lr_N: under a reference: a frozen model (KL), or the policy shown the critique (self-distillation).
        advantage_N: credit of the token's row.
        refinement_N: True for tokens of refinements.
        row_N: number of the token's row in the batch, 0, 0, ..., 1, ...
    """

    lp_N: Tensor
    lo_N: Tensor
    ls_N: Tensor
    lr_N: Tensor
    advantage_N: Tensor
    refinement_N: Tensor
    row_N: Tensor

    def row_mean(self, x_N: Tensor) -> Tensor:
        """Return the mean over the token's own row, at every token; (N,) to (N,)."""
        import torch

        rows = int(self.row_N[-1]) + 1
        sums_B = x_N.new_zeros(rows).index_add(0, self.row_N, x_N)
        return (sums_B / torch.bincount(self.row_N, minlength=rows))[self.row_N]


def tokens_of(rows: Sequence[Row], lp_N: Tensor, old_log_probs: Sequence[Sequence[float]] | None = None) -> Tokens:
    """Return the tokens of a batch.

    A row without log-probabilities of a sampler or a reference gets the policy's own at batch start: a ratio of 1.

    Args:
        rows: with at least one output token each, in the order of ``lp_N``.
        lp_N: log-probability of every output token, with its gradient.
        old_log_probs: at batch start, per row and token; None takes the present ones.
    """
    import torch

    def tensor(values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float64).to(lp_N)

    lengths = [len(row.output_ids) for row in rows]
    lo_N = lp_N.detach() if old_log_probs is None else tensor([lo for row in old_log_probs for lo in row])

    def known(values: Sequence[Sequence[float]]) -> Tensor:
        """Return the values of every row, the policy's own where a row has none."""
        parts = [tensor(v) if v else lo_T for v, lo_T in zip(values, lo_N.split(lengths), strict=True)]
        return torch.cat(parts) if any(values) else lo_N

    row_N = torch.arange(len(rows), device=lp_N.device).repeat_interleave(torch.tensor(lengths, device=lp_N.device))
    return Tokens(
        lp_N=lp_N,
        lo_N=lo_N,
        ls_N=known([row.logprobs for row in rows]),
        lr_N=known([row.reference_logprobs for row in rows]),
        advantage_N=tensor([row.advantage for row in rows])[row_N],
        refinement_N=torch.tensor([row.kind == "refinement" for row in rows], device=lp_N.device)[row_N],
        row_N=row_N,
    )
