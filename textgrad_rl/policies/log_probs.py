"""Log-probabilities of tokens that are given: what training differentiates.

The tokens of all rows stand in one flat sequence, as a prefix tree: what rows share is computed once, forward and
backward, and nothing is padded. Only the hidden states that predict an output token reach the vocabulary
(:mod:`textgrad_rl.policies.head`). Axes: ``_S`` tokens of the tree, ``_E`` size of a hidden state, ``_N`` output tokens
of a batch one after another.

Left out: skipping the last layer of tokens that predict nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from textgrad_rl.policies.prefix_tree import PrefixTree
from textgrad_rl_graphs.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

    from textgrad_rl.policies.rows import Row


def log_probs(model: Any, rows: Sequence[Row], *, entropy: bool = True) -> tuple[Tensor, Tensor | None]:
    """Return log-probability and entropy at every output token of the rows, one row after another; (N,) and (N,).

    They are those of ``softmax(logits / temperature)`` with the row's temperature, as the sampler's are.

    Args:
        model: a transformers causal language model that went through ``tree_attention.use_tree_attention``.
        rows: with at least one output token each, computed as one prefix tree.
        entropy: whether to compute it; None is returned else.

    Raises:
        ModelError: for a row without context, whose first token nothing predicts.
    """
    import torch

    from textgrad_rl.policies.head import token_log_probs

    tree = PrefixTree.of([inputs(row) for row in rows])
    # The last tokens of a row's path, as many as it has outputs, predict these.
    places_N = [
        place for row, places in zip(rows, tree.places, strict=True) for place in places[-len(row.output_ids) :]
    ]
    hidden_NE = hidden_states(model, tree)[torch.tensor(places_N, device=model.device)]
    token_N = torch.tensor([token for row in rows for token in row.output_ids], device=model.device)
    lengths = torch.tensor([len(row.output_ids) for row in rows])
    dtype = torch.promote_types(hidden_NE.dtype, torch.float32)
    temperature_N = torch.tensor([row.temperature for row in rows], dtype=dtype).repeat_interleave(lengths)
    temperature_N = temperature_N.to(model.device)
    return token_log_probs(model.get_output_embeddings(), hidden_NE, token_N, temperature_N, entropy=entropy)


def inputs(row: Row) -> tuple[int, ...]:
    """Return the tokens that are read for a row; the last output token predicts nothing that is trained.

    Raises:
        ModelError: for a row without context, whose first token nothing predicts.
    """
    context = row.context.tokens()
    if not context:
        raise ModelError(f"row {row.source!r} has no context: nothing predicts its first token")
    return context + row.output_ids[:-1]


def hidden_states(model: Any, tree: PrefixTree) -> Tensor:
    """Return the last hidden state of every token of a tree, (S, E); the model as for :func:`log_probs`."""
    import torch

    device = model.device
    out = model.base_model(
        input_ids=torch.tensor([tree.ids], device=device),
        position_ids=torch.tensor([tree.depths], device=device),
        # Any mask of four axes is taken as it is; the tree knows what to mask.
        attention_mask=torch.ones((1, 1, 1, 1), dtype=torch.bool, device=device),
        tree=tree,
        use_cache=False,
    )
    return out.last_hidden_state[0]  # type: ignore[no-any-return]
