"""Log-probabilities of tokens that are given: what training differentiates.

Rows are padded on the right: with causal attention no real token sees the padding. Only the hidden states that
predict an output token reach the vocabulary, so no logits of prompts and padding exist. Axes: ``_B`` rows, ``_S``
sequence, ``_N`` output tokens of a batch one after another, ``_V`` vocabulary.

Left out: computing a shared context once. :class:`~textgrad_rl.policies.rows.Segment` trees are flattened here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from textgrad_rl_graphs.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

    from textgrad_rl.policies.rows import Row

_LOGITS = 1 << 26
"""Logits computed at a time; more are computed in pieces, and again in the backward pass."""


def log_probs(model: Any, rows: Sequence[Row]) -> tuple[Tensor, Tensor]:
    """Return log-probability and entropy at every output token of the rows, one row after another; (N,) and (N,).

    They are those of ``softmax(logits / temperature)`` with the row's temperature, as the sampler's are. The entropy
    has no gradient.

    Args:
        model: a transformers causal language model.
        rows: with at least one output token each, computed as one padded batch.

    Raises:
        ModelError: for a row without context, whose first token nothing predicts.
    """
    import torch

    contexts = [row.context.tokens() for row in rows]
    for row, context in zip(rows, contexts, strict=True):
        if not context:
            raise ModelError(f"row {row.source!r} has no context: nothing predicts its first token")
    # The last output token predicts nothing that is trained, so it is not read.
    inputs = [context + row.output_ids[:-1] for row, context in zip(rows, contexts, strict=True)]
    longest = max(len(ids) for ids in inputs)
    ids_BS = torch.tensor([ids + (0,) * (longest - len(ids)) for ids in inputs], device=model.device)
    hidden_BS = model.base_model(input_ids=ids_BS, use_cache=False).last_hidden_state
    places_N = [
        number * longest + place
        for number, (row, context) in enumerate(zip(rows, contexts, strict=True))
        for place in range(len(context) - 1, len(context) - 1 + len(row.output_ids))
    ]
    hidden_N = hidden_BS.flatten(0, 1)[torch.tensor(places_N, device=model.device)]
    token_N = torch.tensor([token for row in rows for token in row.output_ids], device=model.device)
    lengths = torch.tensor([len(row.output_ids) for row in rows])
    temperature_N = torch.tensor([row.temperature for row in rows]).repeat_interleave(lengths).to(model.device)
    return _token_log_probs(model.get_output_embeddings(), hidden_N, token_N, temperature_N)


def _token_log_probs(head: Any, hidden_N: Tensor, token_N: Tensor, temperature_N: Tensor) -> tuple[Tensor, Tensor]:
    """Return log-probability and entropy of tokens from the hidden states that predict them."""
    import torch
    from torch.utils.checkpoint import checkpoint

    def piece(hidden_N: Tensor, token_N: Tensor, temperature_N: Tensor) -> tuple[Tensor, Tensor]:
        logits_NV = head(hidden_N)
        # float32 at least: in bfloat16 a log-probability has two digits.
        lp_NV = (
            logits_NV.to(torch.promote_types(logits_NV.dtype, torch.float32)) / temperature_N[:, None]
        ).log_softmax(-1)
        with torch.no_grad():
            entropy_N = torch.special.entr(lp_NV.exp()).sum(-1)
        return lp_NV.gather(1, token_N[:, None])[:, 0], entropy_N

    size = max(1, _LOGITS // head.weight.shape[0])
    if hidden_N.shape[0] <= size:
        return piece(hidden_N, token_N, temperature_N)
    pieces = [
        checkpoint(piece, *part, use_reentrant=False)
        for part in zip(hidden_N.split(size), token_N.split(size), temperature_N.split(size), strict=True)
    ]
    return torch.cat([lp_N for lp_N, _ in pieces]), torch.cat([entropy_N for _, entropy_N in pieces])


def micro_batches(rows: Sequence[Row], max_tokens: int) -> Iterator[list[int]]:
    """Yield the indices of rows that are computed together: of similar length, at most so many padded tokens.

    A row that is longer than the bound makes a batch of its own.

    Args:
        rows: in any order.
        max_tokens: tokens of a batch, padding included.
    """
    lengths = [len(row.context.tokens()) + len(row.output_ids) - 1 for row in rows]
    batch: list[int] = []
    for index in sorted(range(len(rows)), key=lambda index: -lengths[index]):
        if batch and lengths[batch[0]] * (len(batch) + 1) > max_tokens:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
