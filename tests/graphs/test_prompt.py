import pytest

from textgrad_rl_graphs.errors import ConfigError
from textgrad_rl_graphs.prompt import Prompt


def test_a_version_is_the_text_and_nothing_else() -> None:
    prompt = Prompt("Solve.", name="solver", describe="tells the solver what to do", constraints=("Stay short.",))
    first = prompt.version
    assert first == Prompt("Solve.").version
    prompt.text = "Solve it."
    assert prompt.version != first
    prompt.text = "Solve."
    assert prompt.version == first


def test_only_text_is_a_text() -> None:
    with pytest.raises(ConfigError, match="is a str, got int"):
        Prompt(3)  # type: ignore[arg-type]
    prompt = Prompt("a")
    with pytest.raises(ConfigError, match="is a str, got NoneType"):
        prompt.text = None  # type: ignore[assignment]
    assert prompt.text == "a"


def test_one_string_is_no_list_of_constraints() -> None:
    with pytest.raises(ConfigError, match="sequence of sentences"):
        Prompt("a", constraints="Stay short.")


def test_a_misspelt_attribute_is_an_error() -> None:
    with pytest.raises(AttributeError):
        Prompt("a").txt = "b"  # type: ignore[attr-defined]


def test_repr_shows_text_and_name() -> None:
    assert repr(Prompt("a", name="n")) == "Prompt('a', name='n')"
