import numpy as np
import pytest

from textgrad_rl_critics.embedding import Embedder, cosine
from textgrad_rl_graphs.errors import ConfigError


async def test_unit_vectors_each_text_once(letters):
    texts, groups = await Embedder(letters).embed(["ab", "b", "ab"], [["abc", "a"], ["abc", "a"]])
    assert letters.calls == [["abc", "a"], ["ab", "b"]]
    assert all(np.linalg.norm(vector) == pytest.approx(1.0) for vector in (*texts.values(), *groups[0].values()))
    assert cosine(texts["ab"], texts["b"]) == pytest.approx(0.5**0.5)
    assert cosine(groups[0]["a"], texts["b"]) == 0.0


async def test_references_are_kept(letters):
    embedder = Embedder(letters)
    await embedder.embed(["x"], [["ref"]])
    await embedder.embed(["y"], [["ref"]])
    assert letters.calls == [["ref"], ["x"], ["y"]]


async def test_a_text_without_direction_is_like_nothing(letters):
    texts, _ = await Embedder(letters).embed(["42", "a"], [])
    assert cosine(texts["42"], texts["a"]) == 0.0


async def test_wrong_shapes_are_named():
    class Flat:
        def encode(self, texts):
            return [1.0, 2.0]

    with pytest.raises(ConfigError, match=r"shape \(2,\) for 1 texts"):
        await Embedder(Flat()).embed(["a"], [])


def test_clamped():
    assert cosine(np.array([1.0, 0.0]), np.array([-1.0, 0.0])) == 0.0
