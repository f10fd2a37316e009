import numpy as np
import pytest

from textgrad_rl_critics.embedding import Embedder, cosine
from textgrad_rl_graphs.errors import ConfigError, MissingPackageError
from textgrad_rl_graphs.trace import Failure


async def test_unit_vectors_each_text_once(letters):
    vectors = await Embedder(letters).embed(["ab", "b", "ab", "a"], [["abc", "a"], ["abc", "a"]])
    assert letters.calls == [["abc", "a"], ["ab", "b"]]
    assert all(np.linalg.norm(vector) == pytest.approx(1.0) for vector in vectors.values())
    assert cosine(vectors["ab"], vectors["b"]) == pytest.approx(0.5**0.5)
    assert cosine(vectors["a"], vectors["b"]) == 0.0


async def test_references_are_kept(letters):
    embedder = Embedder(letters)
    await embedder.embed(["x"], [["ref"]])
    await embedder.embed(["y"], [["ref"]])
    assert letters.calls == [["ref"], ["x"], ["y"]]


async def test_references_of_an_encoder_whose_vectors_do_not_depend_on_others_are_encoded_with_them(letters):
    letters.independent = True
    embedder = Embedder(letters)
    await embedder.embed(["x", "ref"], [["ref"], ["other"]])
    vectors = await embedder.embed(["y"], [["ref"]])
    assert letters.calls == [["x", "ref", "other"], ["y"]]
    assert cosine(vectors["ref"], vectors["ref"]) == pytest.approx(1.0)


async def test_a_text_without_direction_is_like_nothing(letters):
    vectors = await Embedder(letters).embed(["42", "a"], [])
    assert cosine(vectors["42"], vectors["a"]) == 0.0


class Fixed:
    """Says the same to everything, or raises it."""

    def __init__(self, said):
        self.said = said

    def encode(self, texts):
        if isinstance(self.said, Exception):
            raise self.said
        return self.said


@pytest.mark.parametrize(
    ("said", "shape"), [([1.0, 2.0], r"\(2,\) for 1"), ([[1.0], [2.0]], r"\(2, 1\) for 1"), ([], r"\(0,\) for 1")]
)
async def test_wrong_shapes_are_named(said, shape):
    with pytest.raises(ConfigError, match=rf"shape {shape} texts"):
        await Embedder(Fixed(said)).embed(["a"], [])


async def test_what_fails_alone_fails_alone(letters):
    class Picky:
        def encode(self, texts):
            if "bad" in texts:
                raise RuntimeError("no")
            return letters.encode(texts)

    vectors = await Embedder(Picky()).embed(["a", "bad", "b"], [["c"], ["bad", "d"]])
    assert vectors["bad"] == Failure("encoder", "RuntimeError: no")
    assert all(np.linalg.norm(vectors[text]) == 1.0 for text in "abcd")


async def test_an_encoder_that_is_not_there_is_no_fault_of_a_text():
    with pytest.raises(MissingPackageError):
        await Embedder(Fixed(MissingPackageError("encoders", "encoding"))).embed(["a", "b"], [])


def test_clamped():
    assert cosine(np.array([1.0, 0.0]), np.array([-1.0, 0.0])) == 0.0


async def test_a_reference_that_failed_is_tried_again(letters):
    class Once:
        failed = False

        def encode(self, texts):
            if not self.failed:
                self.failed = True
                raise MemoryError
            return letters.encode(texts)

    embedder = Embedder(Once())
    assert isinstance((await embedder.embed([], [["ref"]]))["ref"], Failure)
    assert not isinstance((await embedder.embed([], [["ref"]]))["ref"], Failure)
