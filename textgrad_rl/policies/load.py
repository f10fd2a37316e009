"""From a name to a policy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from textgrad_rl.policies.lora import LoRA, add_lora, as_lora, has_adapter, train_adapter
from textgrad_rl.policies.policy import TransformersPolicy
from textgrad_rl.policies.vllm import VLLMPolicy
from textgrad_rl_graphs.errors import ConfigError, UnknownNameError

if TYPE_CHECKING:
    from textgrad_rl_graphs.types import Dialect

_ENGINES = ("transformers", "vllm")


def load_policy(
    name: str,
    *,
    engine: str = "transformers",
    lora: LoRA | Mapping[str, Any] | None = None,
    device: str = "auto",
    dtype: Literal["auto", "float32", "bfloat16"] = "auto",
    dialect: Dialect = "plain",
    deterministic: bool = False,
    max_batch_rows: int = 256,
    checkpoint_activations: bool = False,
    engine_options: Mapping[str, Any] | None = None,
) -> TransformersPolicy | VLLMPolicy:
    """Return a trainable policy.

    Args:
        name: ``"pocket"``, a folder or ``"hf:Org/Name"``.
        engine: what rolls out, ``"transformers"`` or ``"vllm"``; transformers trains.
        lora: trains an adapter beside frozen weights; a mapping of its settings will do. None trains all weights, or
            the adapter that the folder holds.
        device: ``"auto"`` is CUDA where there is one, else the CPU.
        dtype: ``"auto"`` is float32 on the CPU and bfloat16 on CUDA, with float32 masters for the optimizer.
        dialect: how roles speak to it.
        deterministic: see :class:`~textgrad_rl.models.transformers.TransformersModel`.
        max_batch_rows: samples decoded side by side; bounds the memory.
        checkpoint_activations: computes activations twice in training to keep fewer of them.
        engine_options: vLLM's own; see :func:`~textgrad_rl.models.vllm.load_vllm`.

    Raises:
        ConfigError: for a name whose weights are out of reach, an unknown engine, a model that cannot be used, or an
            adapter that does not fit it.
        MissingPackageError: for an engine that is not installed.
    """
    from textgrad_rl.models.names import parse_name
    from textgrad_rl.models.transformers import load_transformers

    if engine not in _ENGINES:
        raise UnknownNameError("engine", engine, _ENGINES)
    if engine_options is not None and engine != "vllm":
        raise ConfigError(f'engine_options are vLLM\'s, the engine is {engine!r}: pass engine="vllm" or leave them out')
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
    if lora is not None:
        add_lora(sampler.model, as_lora(lora))
    elif has_adapter(sampler.model):
        train_adapter(sampler.model)
    policy = TransformersPolicy(sampler, checkpoint_activations=checkpoint_activations)
    if engine == "transformers":
        return policy
    return VLLMPolicy(policy, max_batch_rows=max_batch_rows, engine_options=engine_options)
