"""Images go through templates, demos, histories, keys and backward as they are."""

from pathlib import Path

import pytest

from tests.support.scripted import ScriptedCritic, ScriptedModel, echo, last
from textgrad_rl_graphs.backward import backward
from textgrad_rl_graphs.feedback import Feedback
from textgrad_rl_graphs.gradient import Gradients
from textgrad_rl_graphs.graph import Graph
from textgrad_rl_graphs.journal import FileJournal
from textgrad_rl_graphs.node import LLM, Function
from textgrad_rl_graphs.prompt import Prompt
from textgrad_rl_graphs.refine import Refine, refine
from textgrad_rl_graphs.session import Session
from textgrad_rl_graphs.trace import Trace
from textgrad_rl_graphs.types import Image, Message
from textgrad_rl_graphs.value import Value

CAT, DOG = Image(b"a cat"), Image(b"a dog", "image/jpeg")
WRONG = Feedback(score=0.0, correct=False, critique="It is no bird.")


class Look(Graph):
    """Asks about a picture, then goes on with another one."""

    def __init__(self, model: ScriptedModel, *, demo: bool = False) -> None:
        demos = [({"image": DOG, "question": "what?"}, "a dog")] if demo else []
        self.see = LLM(model, system=Prompt("Look."), template="{question} {image}", demos=demos)

    async def forward(self, image: Value, question: Value) -> Value:
        first = await self.see(image=image, question=question)
        return await self.see(image=DOG, question="and here?", history=first)


def run(model: ScriptedModel, image: Image | list[Image] = CAT, *, demo: bool = False) -> Trace:
    return Look(model, demo=demo).run({"image": image, "question": "what?"})


def test_the_model_sees_the_picture_and_the_text_names_it() -> None:
    model = ScriptedModel(echo)
    run(model, demo=True)
    demo, answer = Message("user", f"what? {DOG}", (DOG,)), Message("assistant", "a dog")
    assert model.log[0].messages[1:] == (demo, answer, Message("user", f"what? {CAT}", (CAT,)))
    assert [message.images for message in model.log[1].messages] == [(), (DOG,), (), (CAT,), (), (DOG,)]


def test_a_list_of_pictures_is_shown_in_order() -> None:
    model = ScriptedModel(echo)
    run(model, [DOG, CAT])
    assert model.log[0].messages[-1] == Message("user", f"what? {DOG} {CAT}", (DOG, CAT))


def test_another_picture_is_another_call() -> None:
    one, same, other = (run(ScriptedModel(echo), image) for image in (CAT, Image(b"a cat"), Image(b"a cow")))
    assert list(one.calls) == list(same.calls)
    assert not set(one.calls) & set(other.calls)
    assert one.example_id == same.example_id != other.example_id


def test_the_journal_tells_pictures_apart(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path / "journal.jsonl")
    model, session = ScriptedModel(echo), Session(journal)
    for image in (CAT, DOG, CAT):
        with session.phase("forward"):
            run(model, image)
    journal.close()
    assert (len(model.log), session.replayed) == (4, 2)


@pytest.mark.parametrize("dialect", ["json", "plain"])
def test_backward_shows_them_to_a_model_that_speaks_json(dialect: str) -> None:
    answer = "Tell the solver: Look again." if dialect == "plain" else '{"system": "Look again."}'
    model = ScriptedModel(lambda _: answer, dialect=dialect)  # type: ignore[arg-type]
    trace = run(ScriptedModel(lambda _: "A bird."))
    gradients = backward([trace], [WRONG], model=model)
    assert gradients.prompts["see.system"].text.endswith("Look again.")
    shown = [message.images for message in model.log[0].messages]
    if dialect == "json":
        assert shown == [(), (CAT, DOG)]
        assert last(model.log[0]).count(str(CAT)) == 1
    else:
        assert not any(shown)


def test_the_refiner_sees_what_the_question_showed() -> None:
    model = ScriptedModel(echo)
    graph = Look(model)
    trace = graph.run({"image": CAT, "question": "what?"})
    gradients = backward([trace], [WRONG], model=ScriptedModel(lambda _: '{"system": ""}'))
    assert isinstance(gradients, Gradients)
    refine([trace], gradients, ScriptedCritic(lambda _: Feedback(score=1.0, correct=True)), plan=Refine())
    (asked,) = model.asked("refine")
    assert "<assistant>" in asked.messages[-1].content
    assert asked.messages[-1].images == (CAT, DOG)  # the conversation went on from the first picture


def test_a_function_makes_and_takes_pictures() -> None:
    class Draw(Graph):
        def __init__(self) -> None:
            self.draw = Function(lambda text: Image(text.encode()), effects="none")
            self.size = Function(lambda image: len(image.data), effects="none")
            self.see = LLM(ScriptedModel(echo), template="{image} {size}")

        async def forward(self, text: Value) -> Value:
            image = await self.draw(text)
            return await self.see(image=image, size=await self.size(image))

    trace = Draw().run({"text": "a cat"})
    assert list(trace.calls.values())[-1].messages == (Message("user", f"{CAT} 5", (CAT,)),)
