import pytest

from textgrad_rl.tasks.columns import Columns
from textgrad_rl_graphs.errors import ConfigError, DataError

ROW = {"problem": "6 * 7?", "result": 42, "steps": "6 * 7 = 42", "level": 3}


def test_named_columns_become_parts_and_the_rest_metadata() -> None:
    example = Columns(question="problem", answer="result", solution="steps").example(ROW, where="x:1")
    assert example.inputs == {"question": "6 * 7?"}
    assert (example.answer, example.solution) == ("42", "6 * 7 = 42")
    assert example.metadata == {"level": 3}


def test_several_inputs() -> None:
    example = Columns(inputs={"question": "problem", "hint": "steps"}, answer=None).example(ROW, where="x:1")
    assert example.inputs == {"question": "6 * 7?", "hint": "6 * 7 = 42"}
    assert example.answer is None
    assert example.metadata == {"result": 42, "level": 3}


@pytest.mark.parametrize(
    ("columns", "column", "advice"),
    [
        (Columns(answer="result"), "question", 'question="column"'),
        (Columns(question="problem"), "answer", "answer=None"),
        (Columns(question="problem", answer="result", solution="why"), "why", 'solution="column"'),
        (Columns(inputs={"hint": "tip"}, answer="result"), "tip", r'inputs=\{"hint": "column"\}'),
    ],
)
def test_a_missing_column_names_the_place_the_columns_and_the_option(
    columns: Columns, column: str, advice: str
) -> None:
    with pytest.raises(DataError, match=rf"x:7: .*'{column}'.*'problem', 'result', 'steps', 'level'.*{advice}"):
        columns.example(ROW, where="x:7")


@pytest.mark.parametrize("cell", [None, ""])
def test_an_empty_input_is_an_error_an_empty_answer_is_not(cell: str | None) -> None:
    with pytest.raises(DataError, match=r"x:1.*'problem'.*empty"):
        Columns(question="problem", answer=None).example({"problem": cell}, where="x:1")
    assert Columns(question="problem").example({"problem": "q", "answer": None}, where="x:1").answer is None


def test_mappings_that_cannot_work() -> None:
    with pytest.raises(ConfigError, match="not both"):
        Columns(question="a", inputs={"question": "a"})
    with pytest.raises(ConfigError, match="names no input"):
        Columns(inputs={})
    with pytest.raises(ConfigError, match="not inputs"):
        Columns(inputs={"answer": "a"})
