"""Conversations: as text, checked, and asked as they stand by ``LLM.chat``."""

from typing import Any

import pytest

from tests.support.scripted import ScriptedModel, echo, last
from textgrad_rl_graphs.backward import backward
from textgrad_rl_graphs.conversation import conversation, transcript
from textgrad_rl_graphs.errors import GraphError, ModelError
from textgrad_rl_graphs.feedback import Feedback
from textgrad_rl_graphs.graph import Graph
from textgrad_rl_graphs.node import LLM
from textgrad_rl_graphs.prompt import Prompt
from textgrad_rl_graphs.trace import Replay
from textgrad_rl_graphs.types import Completion, Image, Message, Sampling
from textgrad_rl_graphs.value import Value


class Agent(Graph):
    """Keeps its own messages for two turns."""

    def __init__(self, model: ScriptedModel, system: str | Prompt | None = None, *, lineage: bool = True) -> None:
        self.think = LLM(model, system=system, template="never used {at_all}")
        self.lineage = lineage

    async def forward(self, question: Value) -> Value:
        messages = [Message("system", "Mine."), Message("user", question.text)]
        first = await self.think.chat(messages, question=question)
        messages += [Message("assistant", first.text), Message("user", "Sure?")]
        reads: dict[str, Any] = {"first": first} if self.lineage else {}
        return await self.think.chat(messages, sampling=Sampling(temperature=0.5), **reads)


def test_a_transcript_names_speakers_and_pictures() -> None:
    image = Image(b"x")
    assert transcript([Message("user", "look", (image,))]) == f"<user>\nlook\n{image}\n</user>"


def test_the_conversation_is_sent_as_it_stands() -> None:
    model = ScriptedModel(echo)
    trace = Agent(model).run({"question": "q"})
    one, two = model.log
    assert one.messages == (Message("system", "Mine."), Message("user", "q"))
    assert [message.role for message in two.messages] == ["system", "user", "assistant", "user"]
    assert (one.sampling, two.sampling) == (Sampling(), Sampling(temperature=0.5))
    assert [call.messages for call in trace.calls.values()] == [one.messages, two.messages]
    assert trace.output is not None
    assert trace.output.text == echo(two)


def test_one_answer_may_have_to_follow_a_schema() -> None:
    model, schema = ScriptedModel(echo), {"type": "object"}

    class Asks(Graph):
        def __init__(self) -> None:
            self.node = LLM(model)

        async def forward(self, question: Value) -> Value:
            first = await self.node.chat([Message("user", "as JSON")], answer_schema=schema)
            return await self.node.chat([Message("user", "freely")], first=first)

    Asks().run({"question": "q"})
    assert [request.schema for request in model.log] == [schema, None]


def test_the_nodes_system_takes_the_place_of_the_conversations() -> None:
    model = ScriptedModel(echo)
    Agent(model, Prompt("Node's.")).run({"question": "q"})
    assert [request.messages[0].content for request in model.log] == ["Node's.", "Node's."]
    assert [message.role for message in model.log[1].messages] == ["system", "user", "assistant", "user"]


def test_an_answer_among_the_reads_is_continued_token_by_token() -> None:
    for lineage in (True, False):
        model = ScriptedModel(echo)
        trace = Agent(model, lineage=lineage).run({"question": "q"})
        first = next(iter(trace.calls.values())).completion
        assert first is not None
        assert model.log[1].history_ids == (first.prompt_ids + first.output_ids if lineage else ())


def test_the_key_is_the_content_of_the_conversation() -> None:
    def keys(graph: Graph, question: str, **settings: Any) -> list[str]:
        return list(graph.run({"question": question}, **settings).calls)

    plain = Agent(ScriptedModel(last), lineage=False)
    assert keys(plain, "q") == keys(plain, "q", sample=3)
    assert not set(keys(plain, "q")) & set(keys(plain, "p"))
    prompt = Prompt("One.")
    trained = Agent(ScriptedModel(last), prompt)
    before, common = keys(trained, "q"), keys(trained, "q", versionless=True)
    prompt.text = "Two."
    assert not set(before) & set(keys(trained, "q"))
    assert common == keys(trained, "q", versionless=True)


def test_a_critique_flows_through_the_conversation() -> None:
    model = ScriptedModel(lambda request: '{"system": "Be brief.", "input.first": "Count."}')
    trace = Agent(model, Prompt("Solve.")).run({"question": "q"})
    gradients = backward([trace], [Feedback(score=0.0, correct=False, critique="Wrong.")])
    assert [note.text for note in gradients.prompts["think.system"].notes] == ["Be brief.", "Be brief."]
    assert {gradient.text for gradient in gradients.values.values()} == {"Wrong.", "Count."}


def test_a_refined_answer_replays_the_rest() -> None:
    model = ScriptedModel(echo)
    graph = Agent(model)
    source = graph.run({"question": "q"})
    first, second = source.calls
    again = graph.run({"question": "q"}, replay=Replay(source, {second: Completion(text="better")}))
    assert again.output is not None
    assert (again.output.text, again.replayed, again.live) == ("better", 1, 0)
    changed = graph.run({"question": "q"}, replay=Replay(source, {first: Completion(text="other", output_ids=(1,))}))
    assert (changed.replayed, changed.live) == (0, 1)
    assert model.log[-1].messages[2] == Message("assistant", "other")
    assert model.log[-1].history_ids == ()  # sampled in the refiner's context, not in this one


def test_a_failed_model_fails_the_run_not_the_program() -> None:
    trace = Agent(ScriptedModel(lambda _: ModelError("gone"))).run({"question": "q"})
    assert trace.failure is not None
    assert trace.failure.where == "think"


@pytest.mark.parametrize(
    ("messages", "system", "message"),
    [
        ([], True, "think: chat got no message"),
        ([Message("system", "s")], False, "think: chat got no message"),
        ([{"role": "user", "content": "q"}], True, r"think: chat takes a list of .*Message.*number 0 is \{'role'"),
    ],
)
def test_conversations_that_nobody_can_answer(messages: Any, system: bool, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        conversation(messages, system=system, where="think")


async def test_chat_needs_a_run_and_a_frozen_template() -> None:
    node = LLM(ScriptedModel(echo), template=Prompt("{question}"))
    with pytest.raises(GraphError, match="outside of a run"):
        await node.chat([Message("user", "q")])

    class Trained(Graph):
        def __init__(self) -> None:
            self.node = node

        async def forward(self, question: Value) -> Value:
            return await self.node.chat([Message("user", "q")])

    with pytest.raises(GraphError, match="node: chat sends no template"):
        await Trained().arun({"question": "q"})
