import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgrad_rl_graphs.errors import ParseError
from textgrad_rl_graphs.roles import RefineRole
from textgrad_rl_graphs.types import Dialect

ROLE = RefineRole()


@pytest.mark.parametrize("dialect", ["json", "plain"])
def test_the_refiner_sees_question_response_and_critique(dialect: Dialect) -> None:
    system, user = ROLE.render(dialect, question="6 * 7?", response="41", critique="Off by one.")
    assert user.content == "Question: 6 * 7?\nResponse: 41\nCritique: Off by one."
    assert (system.content == "Revise the solution.") == (dialect == "plain")


@given(st.sampled_from(["json", "plain"]), st.text(min_size=1))
def test_a_refinement_comes_back_unchanged(dialect: Dialect, text: str) -> None:
    if text.strip():
        assert ROLE.parse(dialect, text) == text
    else:
        with pytest.raises(ParseError, match="empty"):
            ROLE.parse(dialect, text)


def test_long_answers_are_answers_and_nothing_is_none() -> None:
    assert ROLE.parse("json", "x" * 100_000) == "x" * 100_000
    with pytest.raises(ParseError):
        ROLE.parse("json", "")
