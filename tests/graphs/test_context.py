from tests.support.scripted import ScriptedModel, echo
from textgrad_rl_graphs.context import CURRENT, NOTHING, surrounded
from textgrad_rl_graphs.errors import ModelError
from textgrad_rl_graphs.model import Model
from textgrad_rl_graphs.session import Session, ask
from textgrad_rl_graphs.types import Completion, Message, Request


class Ear:
    def __init__(self) -> None:
        self.outcomes: list[Completion | ModelError] = []

    def heard(self, model: Model, request: Request, outcome: Completion | ModelError) -> None:
        self.outcomes.append(outcome)


class Oracle:
    effects = True

    async def answer(self, model: Model, request: Request) -> Completion:
        return Completion(text=f"instead of {model.name}")


HELLO = Request(messages=(Message("user", "hello"),))


def test_parts_nest_and_go_again() -> None:
    assert CURRENT.get() is NOTHING
    ear, session = Ear(), Session()
    with surrounded(recording=ear):
        with session.phase("rollout"):
            assert (CURRENT.get().recording, CURRENT.get().session, CURRENT.get().phase) == (ear, session, "rollout")
        assert CURRENT.get().session is None
    assert CURRENT.get() is NOTHING


async def test_a_source_answers_instead_of_the_model_and_a_recording_hears_it() -> None:
    ear, model = Ear(), ScriptedModel(echo)
    with surrounded(recording=ear, source=Oracle()):
        answer = await ask(model, HELLO)
    assert answer.text == "instead of scripted"
    assert ear.outcomes == [answer]
    assert model.log == []
