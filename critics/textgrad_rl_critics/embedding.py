"""Unit vectors of texts: encoded in a thread, references kept.

What one call of a critic needs of the responses is encoded in one batch of unique texts. A reference is a batch of
its own with its sentences, once per example: batch-mates change the last bits of a vector, and a resumed run, whose
cache is cold, has to score exactly as the run it continues.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, final

from textgrad_rl_critics.encoder import Encoder, as_encoder
from textgrad_rl_graphs.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Vectors = Mapping[str, Vector]


@final
class Embedder:
    """Embeds texts with an encoder.

    Args:
        encoder: an encoder or its name.
    """

    def __init__(self, encoder: str | Encoder) -> None:
        self.encoder = as_encoder(encoder)
        self._references: dict[tuple[str, ...], Vectors] = {}

    async def embed(self, texts: Iterable[str], groups: Iterable[Sequence[str]]) -> tuple[Vectors, list[Vectors]]:
        """Return the unit vectors of texts, and of every group of reference texts, by text.

        Args:
            texts: encoded together, each once, in the order of their first mention.
            groups: a reference with its sentences each; encoded once in the life of this object.

        Raises:
            ConfigError: when the encoder gives something else than one vector per text.
        """
        return await asyncio.to_thread(self._embed, list(dict.fromkeys(texts)), [tuple(group) for group in groups])

    def _embed(self, texts: list[str], groups: list[tuple[str, ...]]) -> tuple[Vectors, list[Vectors]]:
        for group in groups:
            if group not in self._references:
                self._references[group] = self._encode(list(dict.fromkeys(group)))
        return self._encode(texts), [self._references[group] for group in groups]

    def _encode(self, texts: list[str]) -> Vectors:
        import numpy as np

        if not texts:
            return {}
        vectors = np.asarray(self.encoder.encode(texts), dtype=np.float64)
        if vectors.ndim != 2 or len(vectors) != len(texts):
            raise ConfigError(f"the encoder gave an array of shape {vectors.shape} for {len(texts)} texts")
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return dict(zip(texts, vectors / np.where(lengths > 0, lengths, 1.0), strict=True))


def cosine(one: Vector, other: Vector) -> float:
    """Return the cosine of two unit vectors, clamped to [0, 1]."""
    return min(1.0, max(0.0, float(one @ other)))
