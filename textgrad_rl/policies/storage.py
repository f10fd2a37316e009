"""A policy on disk: a transformers folder, with the optimizer's state beside the weights.

A folder appears whole or not at all: it is written under another name, flushed to the disk and renamed.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from textgrad_rl.models.quiet import no_progress_bars
from textgrad_rl_graphs.errors import RecordsError

_STATE = "policy.pt"


class State(NamedTuple):
    """What a policy knows besides its weights.

    Args:
        adamw: the optimizer's state, None before its first step.
        steps: optimizer steps so far.
        weight_version: versions published so far.
    """

    adamw: dict[str, Any] | None
    steps: int
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


def read(folder: Path, model: Any, adamw: Any) -> tuple[dict[str, Any], State]:
    """Return the weights of a folder and what came with them; the optimizer's state goes into ``adamw``.

    Args:
        folder: as :func:`write` made it.
        model: what the weights must fit; it is not changed.
        adamw: a fresh optimizer of that model.

    Raises:
        RecordsError: when files are missing or damaged, or the architecture differs.
    """
    import torch

    try:
        state = State(**torch.load(folder / _STATE, map_location=model.device, weights_only=True))
        if state.adamw is not None:
            adamw.load_state_dict(state.adamw)
        weights = _weights(folder, model)
    except RecordsError:
        raise
    except Exception as error:  # damaged files raise whatever the libraries behind meet first
        raise RecordsError(f"cannot read a policy from {folder}: {type(error).__name__}: {error}") from error
    return weights, state


def _weights(folder: Path, model: Any) -> dict[str, Any]:
    """Return a folder's weights, checked against a model."""
    from transformers import AutoConfig, AutoModelForCausalLM

    theirs = _architecture(AutoConfig.from_pretrained(folder, local_files_only=True))
    mine = _architecture(model.config)
    for name in sorted(theirs.keys() | mine.keys(), key=lambda name: (name != "model_type", name)):
        if theirs.get(name) != mine.get(name):
            raise RecordsError(
                f"{folder} holds another architecture: {name} is {theirs.get(name)} there, {mine.get(name)} here"
            )
    with no_progress_bars():
        pair: Any = AutoModelForCausalLM.from_pretrained(
            folder, dtype=model.dtype, local_files_only=True, output_loading_info=True
        )
    loaded, report = pair
    if report["missing_keys"] or report["mismatched_keys"]:
        raise RecordsError(f"{folder} lacks weights: {report['missing_keys'] or report['mismatched_keys']}")
    return dict(loaded.state_dict())


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
