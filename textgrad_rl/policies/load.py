"""From a name to a policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from textgrad_rl.policies.policy import TransformersPolicy
from textgrad_rl_graphs.errors import ConfigError

if TYPE_CHECKING:
    from textgrad_rl_graphs.types import Dialect

_ENGINES = ("transformers",)


def load_policy(
    name: str,
    *,
    engine: str = "transformers",
    device: str = "auto",
    dtype: Literal["auto", "float32", "bfloat16"] = "auto",
    dialect: Dialect = "plain",
    deterministic: bool = False,
    max_batch_rows: int = 256,
) -> TransformersPolicy:
    """Return a trainable policy.

    Args:
        name: ``"pocket"``, a folder or ``"hf:Org/Name"``.
        engine: what rolls out; only ``"transformers"`` in this version.
        device: ``"auto"`` is CUDA where there is one, else the CPU.
        dtype: ``"auto"`` is float32 on the CPU and bfloat16 on CUDA, without float32 master weights so far: choose
            float32 there for small learning rates.
        dialect: how roles speak to it.
        deterministic: see :class:`~textgrad_rl.models.transformers.TransformersModel`.
        max_batch_rows: samples decoded side by side; bounds the memory.

    Raises:
        ConfigError: for a name whose weights are out of reach, an unknown engine, or a model that cannot be used.
    """
    from textgrad_rl.models.names import parse_name
    from textgrad_rl.models.transformers import load_transformers

    if engine not in _ENGINES:
        raise ConfigError(f"the engine {engine!r} is not available in this version; there is {', '.join(_ENGINES)}")
    scheme, rest = parse_name(name)
    if scheme not in ("folder", "hf"):
        hint = f"hf:{rest}" if scheme == "vllm" else "pocket, a folder or hf:Org/Name"
        raise ConfigError(
            f"{name!r} cannot be a policy: its weights are not in this process. Train {hint}; for a frozen model use "
            "load_model"
        )
    sampler = load_transformers(
        rest,
        name=name,
        device=device,
        dtype=dtype,
        dialect=dialect,
        deterministic=deterministic,
        max_batch_rows=max_batch_rows,
    )
    return TransformersPolicy(sampler)
