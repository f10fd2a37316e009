"""LoRA: small matrices beside frozen weights, which alone are trained, https://arxiv.org/abs/2106.09685.

``W x`` becomes ``W x + (alpha / rank) B (A x)``, with ``A`` random and ``B`` zero at first. peft puts the layers into
the model in place, so sampler, trainer and attention see the architecture they know; the adapter is saved in peft's
format. Adapters are held in float32 whatever the type of the model.

Left out: adapters on embeddings and on a head that shares its weights with them, dropout, several adapters in one
model (a fork has an adapter of its own, over the same frozen tensors).
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from textgrad_rl_graphs.errors import ConfigError, MissingPackageError, RecordsError

if TYPE_CHECKING:
    from torch import Tensor

ADAPTER_FILE = "adapter_model.safetensors"
CONFIG_FILE = "adapter_config.json"
_NAME = "default"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LoRA:
    """Settings of an adapter.

    Args:
        rank: columns of ``B`` and rows of ``A``.
        alpha: the adapter's output is multiplied by ``alpha / rank``.
        targets: names of linear layers, or ends of their names (``"q_proj"``, ``"layers.0.self_attn.q_proj"``); or
            ``"all-linear"``, which is every one but the head.
        seed: of ``A``.

    Raises:
        ConfigError: for values out of range.
    """

    rank: int = 16
    alpha: float = 32.0
    targets: tuple[str, ...] | str = "all-linear"
    seed: int = 0

    def __post_init__(self) -> None:
        """Reject what no adapter can have."""
        if self.rank < 1 or self.alpha <= 0:
            raise ConfigError(f"rank and alpha must be > 0, got {self.rank} and {self.alpha}")
        if not self.targets:
            raise ConfigError('targets names the layers that are adapted, or is "all-linear"')
        if self.targets != "all-linear":
            names = (self.targets,) if isinstance(self.targets, str) else tuple(self.targets)
            object.__setattr__(self, "targets", names)


def as_lora(given: LoRA | Mapping[str, Any]) -> LoRA:
    """Return the settings, from a mapping of their names too.

    Raises:
        ConfigError: for names that are none of its settings.

    >>> as_lora({"rank": 8, "targets": ["q_proj"]})
    LoRA(rank=8, alpha=32.0, targets=('q_proj',), seed=0)
    """
    if isinstance(given, LoRA):
        return given
    try:
        return LoRA(**given)
    except TypeError as error:
        raise ConfigError(f"lora is a LoRA or a mapping of rank, alpha, targets and seed, got {given!r}") from error


def add_lora(model: Any, lora: LoRA) -> None:
    """Put an adapter into a transformers model; the model's outputs do not change, and its own weights are frozen.

    Raises:
        ConfigError: for targets that are not there or cannot be adapted, or a model with an adapter.
        MissingPackageError: without peft.
    """
    import torch

    try:
        from peft import LoraConfig
    except ImportError as error:
        raise MissingPackageError("peft", "an adapter (lora=)", "peft") from error

    if has_adapter(model):
        raise ConfigError("the model has an adapter already; load it without lora= to train that one")
    _check_targets(model, lora)
    targets = lora.targets if isinstance(lora.targets, str) else list(lora.targets)
    config = LoraConfig(r=lora.rank, lora_alpha=lora.alpha, target_modules=targets, task_type="CAUSAL_LM")  # type: ignore[arg-type]  # a float works
    with torch.random.fork_rng(devices=[]):  # the generator of the CPU; drawn there for every device
        torch.random.default_generator.manual_seed(lora.seed)
        model.add_adapter(config)
    config.base_model_name_or_path = model.name_or_path or None  # where whoever reads the adapter finds the rest
    model.eval()
    _train_alone(model)


def has_adapter(model: Any) -> bool:
    """Whether a model has layers of an adapter."""
    return bool(getattr(model, "_hf_peft_config_loaded", False))


def train_adapter(model: Any) -> None:
    """Make the adapter that came with a model trainable, and nothing else; transformers reads adapters as frozen.

    Raises:
        ConfigError: for an adapter that is more than matrices A and B beside linear layers.
    """
    config = model.peft_config.get(_NAME)
    more = [name for name in ("modules_to_save", "use_dora", "target_parameters") if getattr(config, name, None)]
    if config is None or config.peft_type != "LORA" or config.bias != "none" or more:
        raise ConfigError(f"this adapter cannot be trained here: {', '.join(more) or config}; there is plain LoRA")
    _train_alone(model)


def adapter_state(model: Any) -> dict[str, Tensor]:
    """Return the adapter's tensors by the names that peft's file has; they are the model's own, not copies."""
    return {f"base_model.model.{name}": tensor.detach() for name, tensor in _tensors(model).items()}


def write_adapter(folder: Path, model: Any) -> None:
    """Write an adapter as peft does: without a config.json, which would say that whole weights are there."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    state = {name: tensor.contiguous() for name, tensor in adapter_state(model).items()}
    save_file(state, folder / ADAPTER_FILE, metadata={"format": "pt"})
    model.peft_config[_NAME].save_pretrained(str(folder))


def read_adapter(folder: Path, model: Any) -> dict[str, Tensor]:
    """Return the tensors of a folder's adapter, checked against the model's own.

    Raises:
        RecordsError: for other layers, or layers of other shapes.
    """
    from safetensors.torch import load_file

    theirs, mine = load_file(folder / ADAPTER_FILE), adapter_state(model)
    for name in sorted(theirs.keys() | mine.keys()):
        shapes = [tuple(state[name].shape) if name in state else "none" for state in (theirs, mine)]
        if shapes[0] != shapes[1]:
            raise RecordsError(f"{folder} holds another adapter: {name} is {shapes[0]} there, {shapes[1]} here")
    return theirs


def check_adapter(folder: Path, model: Any) -> None:
    """Refuse a folder whose adapter is none for this model, or that holds whole weights where an adapter is trained.

    Raises:
        RecordsError: with what is there and what is here.
    """
    from peft import PeftConfig

    there = (folder / CONFIG_FILE).exists()
    if there != has_adapter(model):
        kinds = {True: "an adapter", False: "whole weights"}
        raise RecordsError(
            f"{folder} holds {kinds[there]}, this policy trains {kinds[not there]}: load_policy(..., lora=...) trains "
            "an adapter, save(folder, merge=True) writes whole weights"
        )
    if there:
        theirs, mine = (
            {name: getattr(config, name) for name in ("peft_type", "r", "lora_alpha", "use_rslora", "use_dora")}
            for config in (PeftConfig.from_pretrained(str(folder)), model.peft_config[_NAME])
        )
        if theirs != mine:
            raise RecordsError(f"{folder} holds another adapter: {theirs} there, {mine} here")


def forget_local_base(folder: Path) -> bool:
    """Drop the base model of an adapter's folder where it is a path of this machine; return whether one is left."""
    file = folder / CONFIG_FILE
    config = json.loads(file.read_text("utf-8"))
    base = config["base_model_name_or_path"]
    if base is None or Path(base).exists() or Path(base).is_absolute():
        file.write_text(json.dumps({**config, "base_model_name_or_path": None}, indent=2) + "\n", "utf-8")
        return False
    return True


def copy_model(model: Any) -> Any:
    """Return an independent copy; with an adapter, the frozen weights are the same tensors and cost no memory again."""
    memo = {id(p): p for p in model.parameters() if not p.requires_grad} if has_adapter(model) else {}
    return copy.deepcopy(model, memo)


def merged_state(model: Any) -> dict[str, Tensor]:
    """Return whole weights by the names they have without an adapter, ``W + (alpha / rank) B A`` where there is one.

    Tensors that are not adapted are the model's own, not copies.
    """
    layers = dict(_layers(model))
    merged = {}
    for name, tensor in model.state_dict().items():
        owner, _, rest = name.partition(".base_layer.")
        if owner in layers and rest == "weight":
            merged[f"{owner}.weight"] = (tensor + layers[owner].get_delta_weight(_NAME)).to(tensor.dtype)
        elif owner in layers and rest:
            merged[f"{owner}.{rest}"] = tensor
        elif not any(name.startswith(f"{layer}.") for layer in layers):
            merged[name] = tensor
    return merged


def merged(model: Any) -> Any:
    """Return a model without adapter that computes the same, to be saved; the model itself keeps its adapter."""
    import torch

    if not has_adapter(model):
        return model
    config = copy.deepcopy(model.config)
    config._attn_implementation = "sdpa"
    with torch.device("meta"):
        whole = type(model)(config)
    whole.load_state_dict(merged_state(model), assign=True)
    whole.tie_weights()
    whole.generation_config = model.generation_config
    return whole.eval()


def _layers(model: Any) -> Iterator[tuple[str, Any]]:
    """Yield the adapted layers by name."""
    if has_adapter(model):
        from peft.tuners.lora import LoraLayer

        yield from ((name, module) for name, module in model.named_modules() if isinstance(module, LoraLayer))


def _tensors(model: Any) -> dict[str, Any]:
    """Return the adapter's parameters by name."""
    return {
        f"{name}.{part}.weight": getattr(layer, part)[_NAME].weight
        for name, layer in _layers(model)
        for part in ("lora_A", "lora_B")
    }


def _train_alone(model: Any) -> None:
    """Make the adapter's tensors trainable, in float32 at least, and nothing else."""
    import torch

    model.requires_grad_(False)
    for tensor in _tensors(model).values():
        tensor.data = tensor.data.to(torch.promote_types(tensor.dtype, torch.float32))
        tensor.requires_grad_(True)


def _check_targets(model: Any, lora: LoRA) -> None:
    """Refuse targets that are not there, of which peft is silent where others are, and shared weights."""
    import torch

    if lora.targets == "all-linear":
        return
    linear = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
    tied = model.get_output_embeddings().weight is model.get_input_embeddings().weight
    for target in lora.targets:
        found = [name for name in linear if name == target or name.endswith(f".{target}")]
        if not found:
            ends = sorted({name.rpartition(".")[2] for name in linear})
            raise ConfigError(f"no linear layer is called {target!r}; there are {', '.join(ends)}")
        if tied and any(model.get_submodule(name) is model.get_output_embeddings() for name in found):
            raise ConfigError(f"{target!r} shares its weights with the embeddings and cannot be adapted alone")
