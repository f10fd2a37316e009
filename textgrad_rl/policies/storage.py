"""A policy on disk: a transformers folder, or a peft folder for an adapter, with the optimizer's state beside it.

A folder appears whole or not at all: it is written under another name, flushed to the disk and renamed.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from textgrad_rl.models.quiet import no_progress_bars
from textgrad_rl.policies.lora import adapter_state, check_adapter, has_adapter, read_adapter, write_adapter
from textgrad_rl_graphs.errors import RecordsError

_STATE = "policy.pt"


class State(NamedTuple):
    """What a policy knows besides its weights.

    Args:
        updater: see :meth:`textgrad_rl.policies.updater.Updater.state`, None before the first step.
        weight_version: versions published so far.
    """

    updater: dict[str, Any] | None
    weight_version: int


def write(folder: Path, model: Any, tokenizer: Any, state: State) -> None:
    """Write a policy, in place of an earlier one.

    Raises:
        RecordsError: when it cannot be written; what was there is still there.
    """
    import torch

    folder = folder.absolute()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as space:
            new, old = Path(space) / "new", Path(space) / "old"
            if has_adapter(model):
                write_adapter(new, model)
            else:
                with no_progress_bars():
                    model.save_pretrained(new)
            tokenizer.save_pretrained(new)
            torch.save(state._asdict(), new / _STATE)
            for file in (*new.rglob("*"), new):
                _flush(file)
            if folder.exists():
                folder.rename(old)
            try:
                new.rename(folder)
            except OSError:
                if old.exists():
                    old.rename(folder)
                raise
            _flush(folder.parent)
    except OSError as error:
        raise RecordsError(f"cannot write the policy to {folder}: {error}") from error


def read(folder: Path, model: Any) -> tuple[dict[str, Any], State]:
    """Return the weights of a folder, or those of its adapter, and what came with them.

    Args:
        folder: as :func:`write` made it.
        model: what the weights must fit; it is not changed.

    Raises:
        RecordsError: when files are missing or damaged, or the architecture or the adapter differs.
    """
    import torch

    try:
        state = State(**torch.load(folder / _STATE, map_location=model.device, weights_only=True))
        check_adapter(folder, model)
        weights = read_adapter(folder, model) if has_adapter(model) else _weights(folder, model)
    except RecordsError:
        raise
    except Exception as error:  # damaged files raise whatever the libraries behind meet first
        raise RecordsError(f"cannot read a policy from {folder}: {type(error).__name__}: {error}") from error
    return weights, state


def put(model: Any, weights: dict[str, Any]) -> None:
    """Copy weights that :func:`read` returned into the model."""
    import torch

    mine = adapter_state(model) if has_adapter(model) else model.state_dict()
    with torch.no_grad():
        for name, tensor in mine.items():
            tensor.copy_(weights[name])


def forget_optimizer(folder: Path) -> None:
    """Drop the optimizer's state of a folder: what is published is a policy to start from, not a run to continue."""
    import torch

    state = State(**torch.load(folder / _STATE, map_location="cpu", weights_only=True))
    torch.save(state._replace(updater=None)._asdict(), folder / _STATE)


def _weights(folder: Path, model: Any) -> dict[str, Any]:
    """Return a folder's weights, checked to be all that a model of its architecture has."""
    from transformers import AutoModelForCausalLM

    _check_architecture(folder, model)
    with no_progress_bars():
        pair: Any = AutoModelForCausalLM.from_pretrained(
            folder, dtype=model.dtype, local_files_only=True, output_loading_info=True
        )
    loaded, report = pair
    if report["missing_keys"] or report["mismatched_keys"]:
        raise RecordsError(f"{folder} lacks weights: {report['missing_keys'] or report['mismatched_keys']}")
    return dict(loaded.state_dict())


def _check_architecture(folder: Path, model: Any) -> None:
    """Refuse a folder whose weights belong to another architecture."""
    from transformers import AutoConfig

    theirs = _architecture(AutoConfig.from_pretrained(folder, local_files_only=True))
    mine = _architecture(model.config)
    for name in sorted(theirs.keys() | mine.keys(), key=lambda name: (name != "model_type", name)):
        if theirs.get(name) != mine.get(name):
            raise RecordsError(
                f"{folder} holds another architecture: {name} is {theirs.get(name)} there, {mine.get(name)} here"
            )


def _architecture(config: Any) -> dict[str, Any]:
    """Return what a configuration says of the computation, without where and how it was stored."""
    stored = ("_name_or_path", "architectures", "dtype", "torch_dtype", "transformers_version")
    return {name: value for name, value in config.to_dict().items() if name not in stored}


def _flush(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
