import itertools
import os
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from textgrad_rl_graphs.hashing import derive_seed, digest


def test_different_parts_have_different_digests_whatever_separators_they_hold() -> None:
    texts = ["".join(letters) for length in range(3) for letters in itertools.product("1:\x1f\\", repeat=length)]
    sequences = [parts for count in range(4) for parts in itertools.product(texts, repeat=count)]
    assert len({digest(*parts) for parts in sequences}) == len(sequences) > 9000


def test_separators_inside_parts_are_not_separators() -> None:
    assert digest("a\x1fb") != digest("a", "", "\\b")
    assert digest() != digest("")
    assert digest("1:a") != digest("a")


@given(st.text(st.characters(), max_size=20))
def test_any_text_has_a_digest_of_16_digits(text: str) -> None:
    assert len(digest(text)) == 16
    assert int(digest(text), 16) >= 0


def test_lone_surrogates_as_sampled_by_small_models_have_one_too() -> None:
    assert digest("\ud800") != digest("\ud801")


@given(st.lists(st.integers()))
def test_seeds_fit_63_bits_and_depend_on_every_part(numbers: list[int]) -> None:
    assert 0 <= derive_seed(*numbers) < 2**63
    assert derive_seed(*numbers) != derive_seed(*numbers, 0)
    assert derive_seed(*numbers) == derive_seed(*numbers)


def test_digests_are_the_same_in_every_process() -> None:
    code = (
        "from textgrad_rl_graphs.hashing import digest, derive_seed\n"
        "from textgrad_rl_graphs.types import Example\n"
        "from textgrad_rl_graphs.prompt import Prompt\n"
        "print(digest('a', 1, None, ('b', 2.5)), derive_seed('x', 3), Example({'q': 'é', 'a': 1}).id)\n"
        "print(Prompt('p').version)"
    )

    def output(hash_seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        return subprocess.run(
            [sys.executable, "-c", code], env=environment, check=True, capture_output=True
        ).stdout.decode()

    assert output("1") == output("2") != ""
