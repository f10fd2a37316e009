"""A decoding step as a CUDA graph: its kernels, hundreds of them and each of microseconds, are launched as one.

The graph is captured anew whenever the keys and values move: when rows leave and when the room for sampled tokens
doubles (:class:`textgrad_rl.policies.attention.KeyValues`), a few times per batch. It reads the weights where they
are, so that an optimizer's step does not outdate it, and lives no longer than its batch.

Left out: drawing as part of the graph; graphs that several batches share, which would hold the memory of the largest.
Not yet run on a GPU: the tests repeat the kernels of a step from a tape on the CPU, as a graph would;
:func:`capture` itself they cannot run.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, final

from textgrad_rl.policies.decode import forward

if TYPE_CHECKING:
    from torch import Tensor

    from textgrad_rl.policies.attention import KeyValues

Compute = Callable[[], "Tensor"]
"""Computes from the same tensors into the same tensor."""


def can_capture(model: Any) -> bool:
    """Tell whether a model's step can be a graph: on CUDA, unless its rotary embedding reads positions back."""
    rope = getattr(model.config.get_text_config(), "rope_parameters", None) or {}
    return bool(model.device.type == "cuda" and rope.get("rope_type") not in ("dynamic", "longrope"))


def capture(compute: Compute) -> Compute:
    """Return a function that launches as one CUDA graph what ``compute`` launches kernel by kernel.

    Source: PyTorch, CUDA semantics, https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs.
    """
    import torch

    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        compute()  # what is set up at first use must not be part of a graph
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    # Other threads may use the device meanwhile.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        result = compute()

    def launch() -> Tensor:
        graph.replay()
        return result

    return launch


@final
class GraphStep:
    """Takes the place of :func:`textgrad_rl.policies.decode.step` for one batch.

    What it returns is overwritten by the next step.

    Args:
        key_values: of the batch; they become static.
        capture: makes a function that repeats another one's kernels.
    """

    _token_B: Tensor
    _position_B: Tensor
    _launch: Compute

    def __init__(self, key_values: KeyValues, capture: Callable[[Compute], Compute] = capture) -> None:
        """Capture nothing yet."""
        key_values.static = True
        self._capture = capture
        self._layout = -1

    def __call__(self, model: Any, token_B: Tensor, position_B: Tensor, key_values: KeyValues) -> Tensor:
        """Feed one token per row and return the logits after it, (B, V)."""
        key_values.advance()
        if key_values.layout == self._layout:
            self._token_B.copy_(token_B)
            self._position_B.copy_(position_B)
        else:
            self._layout = key_values.layout
            self._token_B, self._position_B = token_B.clone(), position_B.clone()
            self._launch = self._capture(partial(forward, model, self._token_B, self._position_B, key_values))
        return self._launch()
