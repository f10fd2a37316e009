"""Encoders without padding: the texts of a batch laid end to end in one row, each attending to itself alone.

    [a a a a]        [a a a a b b]     one long row: its products of matrices are large, and none is of padding
    [b b . .]   ->

On a CPU this is 1.2 to 1.3 times as fast as padding texts sorted by length. Flash attention does the same on a GPU,
where sentence-transformers sees to it. Left out: encoders whose positions do not count from 0 (RoBERTa) or that see
a window only (ModernBERT); they are found by trying, and padded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, Final

_ATTENTION: Final = "textgrad_rl_unpadded"
_TOKENS: Final = 2000  # at once: enough for large products, and what is computed on stays in the cache
_FEWEST: Final = 64  # fewer rows are multiplied in another order, which shows in the last bits
_PROBES: Final = ["One.", "One sentence.", "Two sentences. " * 20, "Several words in a row, " * 40]


def unpad(encoder: Any) -> bool:
    """Let a sentence-transformers model compute without padding, if its vectors stay the same (to 1e-5).

    Args:
        encoder: a ``SentenceTransformer`` whose first module is a transformer; changed in place.

    Returns:
        Whether it does now. If not, it is as it was.
    """
    import numpy as np
    from transformers import AttentionInterface

    model = getattr(encoder[0], "auto_model", None)
    if model is None or not getattr(model, "is_backend_compatible", bool)():
        return False
    before = model.config._attn_implementation
    if before == _ATTENTION:
        return True
    if "forward" in vars(model):  # somebody else's wrapper, which must not be lost
        return False
    expected = _vectors(encoder)
    AttentionInterface.register(_ATTENTION, _attend)
    model.set_attn_implementation(_ATTENTION)
    model.forward = partial(_forward, model.forward)
    try:
        same = bool(np.allclose(_vectors(encoder), expected, atol=1e-5))
    except Exception:  # whatever a model does not take, e.g. learned positions that count from 2
        same = False
    if not same:
        del model.forward  # the class has its own
        model.set_attn_implementation(before)
    return same


def is_independent(encoder: Any) -> bool:
    """Return whether texts have the same vectors alone as together, to the last bit; found by trying."""
    import numpy as np

    alone = [encoder.encode([probe], show_progress_bar=False)[0] for probe in _PROBES]
    return np.array_equal(_vectors(encoder), alone)


def _vectors(encoder: Any) -> Any:
    return encoder.encode(_PROBES, show_progress_bar=False)


def _forward(forward: Any, *, attention_mask: Any, **inputs: Any) -> Any:
    """Call a model on rows of shape [1, tokens], its hidden states as [texts, width, size], 0 in padding."""
    import torch
    from torch.nn.functional import pad

    mask = attention_mask.bool()
    positions = torch.arange(mask.shape[1], device=mask.device).expand_as(mask)
    rows = {
        name: value[mask] if isinstance(value, torch.Tensor) and value.shape == mask.shape else value
        for name, value in {**inputs, "position_ids": positions}.items()
    }
    hidden, end = [], 0
    for lengths in _batches(mask.sum(1).tolist()):
        count = sum(lengths)
        tokens, more = slice(end, end := end + count), max(0, _FEWEST - count)
        batch = {
            name: pad(value[None, tokens], (0, more)) if isinstance(value, torch.Tensor) else value
            for name, value in rows.items()
        }
        output = forward(**batch, lengths=[*lengths, more] if more else lengths)
        hidden.append(output.last_hidden_state[0, :count])
    output.last_hidden_state = hidden[0].new_zeros(*mask.shape, hidden[0].shape[-1])
    output.last_hidden_state[mask] = torch.cat(hidden)
    return output


def _batches(lengths: Iterable[int]) -> Iterator[list[int]]:
    """Return lengths in lists of at most so many tokens, or of one."""
    batch: list[int] = []
    for length in lengths:
        if batch and sum(batch) + length > _TOKENS:
            yield batch
            batch = []
        batch.append(length)
    yield batch


def _attend(
    _module: Any, query: Any, key: Any, value: Any, _mask: Any, *, lengths: list[int], scaling: float | None = None,
    sliding_window: int | None = None, **_: Any,
) -> tuple[Any, None]:  # fmt: skip
    """Attend within each text; query, key, value: [1, heads, tokens, size]; result: [1, tokens, heads, size]."""
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    if sliding_window is not None:
        raise ValueError("all of a text is attended to, not a window of it")
    texts = zip(*(row.split(lengths, dim=2) for row in (query, key, value)), strict=True)
    seen = [scaled_dot_product_attention(q, k, v, scale=scaling) for q, k, v in texts]
    return torch.cat(seen, dim=2).transpose(1, 2), None
