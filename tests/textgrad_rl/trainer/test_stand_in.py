import pytest

import textgrad_rl as tgr
from tests.support.scripted import ScriptedModel, echo
from textgrad_rl.trainer.stand_in import StandIn, looks_at_answers
from textgrad_rl_graphs.roles import BackwardRole, Cause, CritiqueRole, RewriteRole
from textgrad_rl_graphs.types import Message, Request, Sampling


async def say(role, dialect, *, right=False, messages=(), **settings):
    model = ScriptedModel(echo, dialect=dialect)
    source = StandIn(right=right)
    return source, await source.answer(
        model, Request(messages=tuple(messages) or (Message("user", "?"),), role=role, **settings)
    )


@pytest.mark.parametrize("dialect", ["json", "plain"])
async def test_every_role_can_read_its_answers(dialect):
    for right in (True, False):
        _, answer = await say("critique", dialect, right=right)
        assert CritiqueRole().parse(dialect, answer.text).correct is right
    causes = [Cause("system", "Solve.", is_prompt=True), Cause("input.plan", "A plan.")]
    messages = BackwardRole().render(dialect, causes=causes, messages=[], response="r", critique="c")
    _, answer = await say("backward", dialect, messages=messages)
    assert set(BackwardRole().parse(dialect, answer.text, causes=causes, critique="c")) == {"system", "input.plan"}
    texts = {RewriteRole().parse(dialect, (await say("rewrite", dialect, seed=seed))[1].text) for seed in range(3)}
    assert len(texts) == 3


async def test_the_usage_is_the_most_an_answer_may_take():
    source, answer = await say("solve", "plain", sampling=Sampling(max_tokens=7))
    assert (source.bounded, answer.usage.generated_tokens, answer.usage.calls) == (True, 7, 1)
    source, _ = await say("solve", "plain")
    assert not source.bounded


def parse(value):
    return value.text.split()


class Plain(tgr.Graph):
    async def forward(self, question):
        return question


class Helped(tgr.Graph):
    async def forward(self, question):
        return parse(question)


class Inner(tgr.Graph):
    def __init__(self, part):
        self.parts = {"one": [part]}

    async def forward(self, question):
        return await self.parts["one"][0](question=question)


class Method(Plain):
    def helper(self, value):
        return [item for item in value if (lambda other: other.data)(item)]


def test_reading_is_seen_in_methods_helpers_and_parts():
    assert not looks_at_answers(Plain())
    assert not looks_at_answers(Inner(Plain()))
    assert looks_at_answers(Helped())
    assert looks_at_answers(Inner(Helped()))
    assert looks_at_answers(Method())
