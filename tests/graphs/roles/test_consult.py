import pytest

from tests.support.scripted import ScriptedModel
from textgrad_rl_graphs.errors import ModelError, ParseError
from textgrad_rl_graphs.roles import consult
from textgrad_rl_graphs.session import Session
from textgrad_rl_graphs.types import Message, Sampling, Usage

MESSAGES = (Message("user", "number?"),)


def parse(text: str) -> int:
    if not text.isdigit():
        raise ParseError(f"no number in {text!r}")
    return int(text)


async def test_it_asks_until_the_answer_can_be_read_each_time_with_another_seed() -> None:
    answers = iter(["one", "two", "3", "4"])
    model = ScriptedModel(lambda _: next(answers))
    session = Session()
    with session.phase("critique"):
        result = await consult(
            model, "critique", MESSAGES, parse, seed_for=lambda attempt: 100 + attempt, sampling=Sampling(top_p=0.5)
        )
    assert (result.result, result.completion.text, result.attempts) == (3, "3", 3)
    assert [request.seed for request in model.log] == [100, 101, 102]
    assert {(request.role, request.sampling, request.messages) for request in model.log} == {
        ("critique", Sampling(top_p=0.5), MESSAGES)
    }
    assert result.usage == session.usage["critique"] == Usage(21, 7, 3)


@pytest.mark.parametrize("retries", [0, 2])
async def test_it_gives_up_after_the_retries_and_names_the_last_problem(retries: int) -> None:
    model = ScriptedModel(lambda _: f"word {len(model.log)}", name="judge")
    with pytest.raises(
        ParseError, match=rf"judge .*rewrite answer in {retries + 1} attempts: no number in 'word {retries + 1}'"
    ):
        await consult(
            model, "rewrite", MESSAGES, parse, seed_for=lambda attempt: attempt, sampling=Sampling(), retries=retries
        )
    assert len(model.log) == retries + 1


async def test_a_model_error_is_passed_on_at_once() -> None:
    model = ScriptedModel(lambda _: ModelError("down"))
    with pytest.raises(ModelError, match="down"):
        await consult(model, "critique", MESSAGES, parse, seed_for=lambda attempt: attempt, sampling=Sampling())
    assert len(model.log) == 1


async def test_what_failed_attempts_cost_is_told_too() -> None:
    answers = iter(["one", ModelError("down")])
    model, spent = ScriptedModel(lambda _: next(answers)), [Usage(calls=5)]
    with pytest.raises(ModelError, match="down"):
        await consult(model, "critique", MESSAGES, parse, seed_for=int, sampling=Sampling(), spent=spent)
    assert spent == [Usage(calls=5), Usage(7, 3, 1)]
    model = ScriptedModel(lambda _: "one")
    with pytest.raises(ParseError):
        await consult(model, "critique", MESSAGES, parse, seed_for=int, sampling=Sampling(), spent=spent)
    assert Usage.sum(spent).calls == 5 + 1 + 3
