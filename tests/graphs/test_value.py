import pytest

from tests.support.scripted import ScriptedModel, echo
from textgrad_rl_graphs.errors import GraphError
from textgrad_rl_graphs.graph import Graph
from textgrad_rl_graphs.node import LLM
from textgrad_rl_graphs.value import Value


class Careless(Graph):
    """Formats a Value instead of passing it."""

    def __init__(self, how: str) -> None:
        self.how = how
        self.solve = LLM(ScriptedModel(echo), template="{question}")

    async def forward(self, question: Value) -> Value:
        answer = await self.solve(question=question)
        texts = {
            "str": lambda: str(answer),
            "f-string": lambda: f"Check {answer}",
            "format": lambda: "Check {}".format(answer),  # noqa: UP032 - one of the ways users write it
            "width": lambda: f"{answer:>10}",
            "percent": lambda: "Check %s" % answer,  # noqa: UP031 - likewise
        }
        return await self.solve(question=texts[self.how]())


@pytest.mark.parametrize("how", ["str", "f-string", "format", "width", "percent"])
def test_formatting_a_value_says_what_is_lost_and_what_to_write(how: str) -> None:
    with pytest.raises(GraphError, match=r"Value 'solve'.*lose where it came from.*join.*\.text"):
        Careless(how).run({"question": "q"})


def test_a_value_keeps_its_data_and_shows_it() -> None:
    value = Value({"a": 1}, key="k", name="n", trace=None)  # type: ignore[arg-type]
    assert (value.data, value.text) == ({"a": 1}, "{'a': 1}")
    assert repr(value) == "Value(n=\"{'a': 1}\")"
    assert len(repr(Value("x" * 1000, key="k", name="n", trace=None))) < 80  # type: ignore[arg-type]


def test_concatenation_is_refused_too() -> None:
    value = Value("a", key="k", name="n", trace=None)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        "Check " + value  # type: ignore[operator]
