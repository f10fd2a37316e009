"""Attention for sampling: many rows continue few prompts, so a prompt's keys are read once for all its rows.

Rows of a prompt stand in one line of a grid, where one matrix product serves them all; what a row has sampled itself
is kept per row, in tensors with room for more, which are written in place. Scores of both parts meet in one softmax.
Forward passes without a :class:`KeyValues` (training, prefill) go to transformers' own scaled dot-product attention.

With ``static`` set, every step between two changes of the ``layout`` (rows leave, the room doubles) runs the same
kernels on the same tensors and reads no number back, so that a GPU can repeat it as a graph
(:mod:`textgrad_rl.policies.step_graph`). Without, attention is spared the empty part of the room.

Shapes: ``_B`` rows, ``_L`` lines of the grid, ``_R`` rows per line, ``_H`` key-value heads, ``_Q`` query heads per
key-value head, ``_D`` head size, ``_P`` prompt tokens, ``_T`` room for sampled tokens.

Left out: sliding windows, soft caps and attention sinks; :func:`textgrad_rl.policies.support.check_support` refuses
models that need them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import torch
from torch.nn.functional import pad

if TYPE_CHECKING:
    from torch import Tensor, nn

NAME = "textgrad_rl"
"""Under which transformers knows this attention."""

_FIRST_ROOM = 32
"""Sampled tokens that there is room for at first; the room doubles when it is full."""


@final
class Grid:
    """Which line and column of the grid a row stands in.

    Args:
        line_B: line of every row.
        column_B: column of every row.
        prompt_L: prompt of every line.
    """

    def __init__(self, line_B: Tensor, column_B: Tensor, prompt_L: Tensor) -> None:
        """Count lines and columns."""
        self.line_B = line_B
        self.column_B = column_B
        self.prompt_L = prompt_L
        self.lines = int(prompt_L.shape[0])
        self.columns = int(column_B.max()) + 1
        # With every cell taken in order, going to the grid and back is a view.
        self.full = self.lines * self.columns == line_B.shape[0]

    def spread(self, x_HB: Tensor) -> Tensor:
        """Return (H, L, R, ...) from (H, B, ...); empty cells hold zeros."""
        shape = (x_HB.shape[0], self.lines, self.columns, *x_HB.shape[2:])
        if self.full:
            return x_HB.view(shape)  # splits one axis, which needs no copy for any strides
        x_HLR = x_HB.new_zeros(shape)
        x_HLR[:, self.line_B, self.column_B] = x_HB
        return x_HLR

    def collect(self, x_HLR: Tensor) -> Tensor:
        """Return (H, B, ...) from (H, L, R, ...)."""
        return x_HLR.flatten(1, 2) if self.full else x_HLR[:, self.line_B, self.column_B]


def make_grid(prompt_B: Tensor) -> Grid:
    """Return the grid of rows whose prompts are given.

    A prompt with more rows than the average takes several lines, so that one large group among many small ones
    does not widen every line: there are at most twice as many lines as prompts, and twice as many cells as rows.

    Args:
        prompt_B: the prompt of every row, in ascending order.
    """
    prompts, counts = torch.unique_consecutive(prompt_B, return_counts=True)
    width = -(-prompt_B.shape[0] // prompts.shape[0])
    lines_per_prompt = -(-counts // width)
    first_row = torch.cumsum(counts, 0) - counts
    first_line = torch.cumsum(lines_per_prompt, 0) - lines_per_prompt
    rank_B = torch.arange(prompt_B.shape[0], device=prompt_B.device) - torch.repeat_interleave(first_row, counts)
    line_B = torch.repeat_interleave(first_line, counts) + rank_B // width
    return Grid(line_B, rank_B % width, torch.repeat_interleave(prompts, lines_per_prompt))


@final
class KeyValues:
    """Keys and values of a batch under way, in the place of transformers' cache.

    Heads come first in every tensor, so that a line of the grid is a view of its rows.

    Args:
        keys, values: per layer, of the prompts, (H, prompts, P, D).
        length_N: tokens of every prompt; what follows is padding.
        prompt_B: the prompt of every row, in ascending order.

    Attributes:
        static: whether attention reads the whole room, with what is empty masked.
        layout: counts how often the tensors were replaced.
    """

    is_compileable = False

    def __init__(self, keys: list[Tensor], values: list[Tensor], length_N: Tensor, prompt_B: Tensor) -> None:
        """Start with nothing sampled."""
        self.static, self.layout = False, 0
        self._prompt_keys, self._prompt_values = keys, values
        self._length_N = length_N
        heads, rows, device = keys[0].shape[0], prompt_B.shape[0], prompt_B.device
        # Zeros, because what is masked is multiplied all the same.
        self._keys = [k.new_zeros((heads, rows, _FIRST_ROOM, k.shape[-1])) for k in keys]
        self._values = [v.new_zeros((heads, rows, _FIRST_ROOM, v.shape[-1])) for v in values]
        self._used = 0
        self._newest = torch.zeros(1, dtype=torch.long, device=device)  # where the newest token stands in the room
        self._unused_T = torch.full((_FIRST_ROOM,), float("-inf"), dtype=keys[0].dtype, device=device)  # else 0
        self._place(prompt_B)

    def _place(self, prompt_B: Tensor) -> None:
        """Lay the rows out in a grid, with the prompts' keys and values line by line."""
        self._prompt_B = prompt_B
        self._grid = make_grid(prompt_B)
        prompt_L = self._grid.prompt_L
        whole = prompt_L.shape[0] == self._prompt_keys[0].shape[1]  # one line per prompt: no copy
        self._line_keys = self._prompt_keys if whole else [k[:, prompt_L] for k in self._prompt_keys]
        self._line_values = self._prompt_values if whole else [v[:, prompt_L] for v in self._prompt_values]
        position_P = torch.arange(self._prompt_keys[0].shape[2], device=prompt_B.device)
        self._padding_LP = position_P >= self._length_N[prompt_L][:, None]

    def keep(self, rows: Tensor) -> None:
        """Drop all rows but these, given as indices in ascending order."""
        for kept in (self._keys, self._values):
            kept[:] = [x[:, rows] for x in kept]
        self._place(self._prompt_B[rows])
        self.layout += 1

    def advance(self) -> None:
        """Make the next place in the room the newest; every step begins with it."""
        room = self._unused_T.shape[0]
        if self._used == room:
            for kept in (self._keys, self._values):
                kept[:] = [pad(x, (0, 0, 0, room)) for x in kept]
            self._unused_T = pad(self._unused_T, (0, room), value=float("-inf"))
            self.layout += 1
        self._unused_T[self._used] = 0
        self._newest.fill_(self._used)
        self._used += 1

    def update(self, key: Tensor, value: Tensor, layer_idx: int, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Write the newest token's key and value, (B, H, 1, D) each, and return them; attention layers call this."""
        self._keys[layer_idx].index_copy_(2, self._newest, key.transpose(0, 1))
        self._values[layer_idx].index_copy_(2, self._newest, value.transpose(0, 1))
        return key, value

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Return the tokens that the longest row holds; part of transformers' cache interface."""
        return int(self._padding_LP.shape[1]) + self._used

    def attend(self, layer: int, query: Tensor, scaling: float) -> Tensor:
        """Return the attention of one new token per row to its prompt and to what it has sampled.

        Args:
            layer: number of the attention layer.
            query: (B, H * Q, 1, D).
            scaling: of the scores.

        Returns:
            (B, 1, H * Q, D).
        """
        grid, prompt_keys, prompt_values = self._grid, self._line_keys[layer], self._line_values[layer]
        shown = self._unused_T.shape[0] if self.static else self._used
        keys, values = self._keys[layer][:, :, :shown], self._values[layer][:, :, :shown]
        heads, rows, prompt = keys.shape[0], keys.shape[1], prompt_keys.shape[2]
        cells = (grid.columns, query.shape[1] // heads)
        query_HBQD = (query.view(rows, heads, cells[1], -1) * scaling).transpose(0, 1).contiguous()

        to_prompt = grid.spread(query_HBQD).flatten(2, 3) @ prompt_keys.mT
        to_prompt.masked_fill_(self._padding_LP[:, None], float("-inf"))
        to_prompt = grid.collect(to_prompt.unflatten(2, cells))
        scores = torch.cat((to_prompt, (query_HBQD @ keys.mT).add_(self._unused_T[:shown])), -1)
        weights = scores.softmax(-1, dtype=torch.float32).to(query.dtype)
        mixed = weights[..., prompt:] @ values
        from_prompt = grid.spread(weights[..., :prompt]).flatten(2, 3) @ prompt_values
        mixed += grid.collect(from_prompt.unflatten(2, cells))
        return mixed.transpose(0, 1).reshape(rows, 1, heads * cells[1], -1)


def attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    key_values: KeyValues | None = None,
    **kwargs: Any,
) -> tuple[Tensor, Tensor | None]:
    """Attend by ``key_values`` where the forward pass was given one, else as transformers does."""
    if key_values is None:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        return sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
    return key_values.attend(int(module.layer_idx), query, kwargs["scaling"]), None  # type: ignore[arg-type]


def use_attention(model: Any) -> None:
    """Switch a transformers model to this attention; its results in other use do not change."""
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

    AttentionInterface.register(NAME, attention)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    model.set_attn_implementation(NAME)
