"""Drawing tokens: one uniform number per (seed, position), turned into a token by the inverse distribution function.

The number is a hash, not the next of a generator, so a sample does not depend on what else is in the batch. Axes:
``_B`` rows, ``_V`` vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

_MASK = (1 << 64) - 1


def uniforms(seeds: Sequence[int], position: int) -> np.ndarray:
    """Return one number in [0, 1) per seed, float64, (B,).

    The bits are those of SplitMix64 at state ``hash(seed) + (position + 1) * golden ratio``.
    Source: Steele, Lea, Flood, Fast Splittable Pseudorandom Number Generators, https://doi.org/10.1145/2714064.2660195.

    Args:
        seeds: any integers; only their lowest 64 bits count.
        position: number of the token in its sample, from 0.

    >>> uniforms([1, 2], 0)[1] == uniforms([2], 0)[0]
    np.True_
    """
    import numpy as np

    golden = 0x9E3779B97F4A7C15
    state_B = _mix(np.array([seed & _MASK for seed in seeds], dtype=np.uint64))
    bits_B = _mix(state_B + np.uint64((position + 1) * golden & _MASK))
    return (bits_B >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mix(x_B: np.ndarray) -> np.ndarray:
    """Return SplitMix64's finaliser of unsigned 64-bit integers; products wrap."""
    import numpy as np

    x_B = (x_B ^ (x_B >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x_B = (x_B ^ (x_B >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed_B: np.ndarray = x_B ^ (x_B >> np.uint64(31))
    return mixed_B


def draw(
    logits_BV: Tensor,
    temperature_B: Tensor,
    top_p_B: Tensor,
    uniform_B: Tensor,
    top_k_B: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return a token per row and its log-probability under the distribution it was drawn from, (B,) and (B,).

    The distribution is ``softmax(logits / temperature)``, cut to the ``top_k`` likeliest tokens, then to the smallest
    set of likeliest tokens that holds ``top_p`` of the mass, and normalised again. Temperature 0 takes the likeliest
    token, with log-probability 0.

    Args:
        logits_BV: of any floating type.
        temperature_B: as in :class:`textgrad_rl_graphs.types.Sampling`.
        top_p_B: likewise.
        uniform_B: float64 in [0, 1).
        top_k_B: as in Sampling, V or more for all tokens; None for no cut in any row.

    >>> import torch
    >>> logits = torch.log(torch.tensor([[0.2, 0.5, 0.3]]))
    >>> one = torch.ones(1)
    >>> token, lp = draw(logits, one, one, torch.tensor([0.69], dtype=torch.float64))
    >>> token.item(), round(lp.exp().item(), 4)
    (1, 0.5)
    """
    import torch

    greedy_B = temperature_B == 0
    scaled_BV = logits_BV.float() / torch.where(greedy_B, 1.0, temperature_B)[:, None]
    lp_BV = scaled_BV.log_softmax(-1)
    if top_k_B is not None or bool((top_p_B < 1).any()):
        lp_BV = _cut(lp_BV, top_p_B, top_k_B)
    # float64: over a large vocabulary the rounding of a float32 sum would shift probabilities visibly.
    cdf_BV = lp_BV.exp().cumsum(-1, dtype=torch.float64)
    total_B = cdf_BV[:, -1]
    target_B = torch.minimum(uniform_B * total_B, torch.nextafter(total_B, torch.zeros_like(total_B)))
    # right=True: the first entry above the target, which is never a token of probability 0.
    drawn_B = torch.searchsorted(cdf_BV, target_B[:, None], right=True)[:, 0].clamp(max=lp_BV.shape[1] - 1)
    token_B = torch.where(greedy_B, logits_BV.argmax(-1), drawn_B)
    lp_B = lp_BV.gather(1, token_B[:, None])[:, 0]
    return token_B, torch.where(greedy_B & lp_B.isfinite(), 0.0, lp_B)


def _cut(lp_BV: Tensor, top_p_B: Tensor, top_k_B: Tensor | None) -> Tensor:
    """Return log-probabilities cut to the likeliest tokens and to the nucleus; the likeliest token always stays.

    Source: The Curious Case of Neural Text Degeneration, https://arxiv.org/abs/1904.09751, sections 3.1 and 3.2.
    """
    import torch

    ordered_BV, index_BV = lp_BV.sort(-1, descending=True)
    if top_k_B is not None:
        beyond_BV = torch.arange(lp_BV.shape[1], device=lp_BV.device) >= top_k_B[:, None]
        ordered_BV = ordered_BV.masked_fill(beyond_BV, float("-inf")).log_softmax(-1)
    p_BV = ordered_BV.exp()
    outside_BV = p_BV.cumsum(-1) - p_BV >= top_p_B[:, None]
    outside_BV[:, 0] = False
    cut_BV = ordered_BV.masked_fill(outside_BV, float("-inf")).log_softmax(-1)
    return lp_BV.scatter(1, index_BV, cut_BV)
