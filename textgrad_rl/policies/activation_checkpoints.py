"""Activation checkpoints: of each layer only the input is kept for the backward pass, which computes the rest again.

Memory of the activations falls from all of a layer's to one hidden state per layer, for one more forward pass
(https://arxiv.org/abs/1604.06174). The gradient is the same.

Left out: switching it on by itself when memory is short.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from textgrad_rl_graphs.errors import ConfigError


def enable(model: Any) -> None:
    """Prepare a transformers model; :func:`in_use` switches the checkpoints on for a while.

    Raises:
        ConfigError: for an architecture without checkpoints.
    """
    try:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    except ValueError as error:
        raise ConfigError(f"{type(model).__name__} has no activation checkpoints: {error}") from error
    model.disable_input_require_grads()  # only reentrant checkpoints need inputs with a gradient


@contextmanager
def in_use(model: Any) -> Iterator[None]:
    """Let the layers keep their inputs alone.

    transformers asks a layer whether it is in training mode. Only the layer itself is put into it, not what it is
    made of: dropout stays off, and so do checkpoints while the sampler runs.
    """
    from transformers.modeling_layers import GradientCheckpointingLayer

    layers = [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]
    for layer in layers:
        layer.training = True
    try:
        yield
    finally:
        for layer in layers:
            layer.training = False
