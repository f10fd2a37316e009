import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgrad_rl_graphs.errors import TemplateError
from textgrad_rl_graphs.template import fields, fill

names = st.from_regex(r"[A-Za-z_][A-Za-z_0-9]{0,5}", fullmatch=True)
braces = st.text('{}"a1: \n\\', max_size=20)


@pytest.mark.parametrize(
    "literal",
    [
        '{"answer": 42}',
        '{"outer": {"inner": [1, 2]}}',
        "{}",
        "{ name }",
        "{1}",
        r"\frac{1}{2}",
        r"\sqrt{x + 1} \begin{align*}",
        "{{}}",
        "set {1, 2, 3}",
        "}{",
    ],
)
def test_braces_that_name_nothing_survive(literal: str) -> None:
    assert fields(literal) == ()
    assert fill(literal + " {question}", {"question": "q"}, where="solve") == literal + " q"


@given(st.dictionaries(names, braces, min_size=1, max_size=4))
def test_every_input_appears_as_it_is_and_is_never_filled_again(values: dict[str, str]) -> None:
    template = "|".join(f"{{{name}}}" for name in values)
    assert fill(template, values, where="solve") == "|".join(values.values())
    assert fields(template) == tuple(values)


@given(names, braces)
def test_doubled_braces_write_a_name_in_braces(name: str, value: str) -> None:
    assert fields(f"{{{{{name}}}}}") == ()
    assert fill(f"{{{{{name}}}}} {{x{name}}}", {f"x{name}": value}, where="") == f"{{{name}}} {value}"


def test_a_repeated_name_is_filled_everywhere_and_listed_once() -> None:
    assert fill("{a}{b}{a}", {"a": "1", "b": "2"}, where="") == "121"
    assert fields("{a}{b}{a}") == ("a", "b")


def test_an_input_that_is_missing_is_named_with_the_place_and_the_way_out() -> None:
    with pytest.raises(TemplateError, match=r"solve: .*\{plan\}.*Given: question.*plan=.*\{\{plan\}\}"):
        fill("{question} {plan}", {"question": "q"}, where="solve")


def test_an_input_that_is_not_used_is_named() -> None:
    with pytest.raises(TemplateError, match=r"solve: .*'plan'.*does not use.*names: question.*\{plan\}"):
        fill("{question}", {"question": "q", "plan": "p"}, where="solve")
    with pytest.raises(TemplateError, match="names: nothing"):
        fill("fixed", {"question": "q"}, where="solve")
