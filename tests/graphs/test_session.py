import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.scripted import ScriptedModel, echo
from textgrad_rl_graphs.errors import ModelError
from textgrad_rl_graphs.graph import Graph
from textgrad_rl_graphs.node import LLM, Function
from textgrad_rl_graphs.session import Session, ask, perform
from textgrad_rl_graphs.types import Message, Request, Sampling, Usage
from textgrad_rl_graphs.value import Value


class Memory:
    """A journal in memory."""

    def __init__(self) -> None:
        self.entries: dict[str, Mapping[str, Any]] = {}

    def get(self, key: str) -> Mapping[str, Any] | None:
        return self.entries.get(key)

    def put(self, key: str, entry: Mapping[str, Any]) -> None:
        self.entries[key] = entry


def request(text: str = "hello", **settings: Any) -> Request:
    return Request(messages=(Message("user", text),), **settings)


async def test_without_a_session_a_model_is_just_asked() -> None:
    model = ScriptedModel(echo)
    assert (await ask(model, request())).text == "<hello|0>"
    assert len(model.log) == 1


async def test_usage_is_counted_by_phase_and_phases_nest() -> None:
    session, model = Session(), ScriptedModel(lambda _: "four")
    with session.phase("forward"):
        await ask(model, request("ab"))
        with session.phase("gate"):
            await ask(model, request("abc"))
        await ask(model, request("a"))
    await ask(model, request("not counted"))
    assert session.usage["forward"] == Usage(3, 8, 2)
    assert session.usage["gate"] == Usage(3, 4, 1)
    assert session.total() == Usage(6, 12, 3)
    assert session.total(without=("gate",)) == Usage(3, 8, 2)


async def test_two_sessions_side_by_side_do_not_mix() -> None:
    async def work(session: Session, calls: int) -> None:
        with session.phase("forward"):
            for _ in range(calls):
                await ask(ScriptedModel(echo, latency=lambda _: 0.001), request())

    one, two = Session(), Session()
    await asyncio.gather(work(one, 2), work(two, 5))
    assert (one.total().calls, two.total().calls) == (2, 5)


async def test_a_journal_answers_in_the_place_of_the_model_and_counts_the_same() -> None:
    journal = Memory()
    first, second, model = Session(journal), Session(journal), ScriptedModel(echo)
    with first.phase("forward"):
        answer = await ask(model, request(seed=5))
    with second.phase("forward"):
        again = await ask(model, request(seed=5))
    assert again == answer
    assert len(model.log) == 1
    assert (first.replayed, second.replayed) == (0, 1)
    assert first.usage == second.usage


@pytest.mark.parametrize(
    "other",
    [
        request("other"),
        request(seed=1),
        request(role="refine"),
        request(history_ids=(1,)),
        request(sampling=Sampling(temperature=0.5)),
        request(sampling=Sampling(max_tokens=3)),
        request(sampling=Sampling(stop=("\n",))),
        Request(messages=(Message("system", "hello"),)),
        Request(messages=(Message("user", "hello"), Message("user", "hello"))),
    ],
)
async def test_a_journal_answers_only_the_same_request(other: Request) -> None:
    session, model = Session(Memory()), ScriptedModel(echo)
    with session.phase("forward"):
        await ask(model, request())
        await ask(model, other)
    assert len(model.log) == 2


async def test_a_journal_answers_only_for_the_same_model_and_weights() -> None:
    session, log = Session(Memory()), []
    with session.phase("forward"):
        for name, version in (("a", 0), ("a", 1), ("b", 0)):
            model = ScriptedModel(echo, name=name, weight_version=version)
            await ask(model, request())
            log += model.log
    assert len(log) == 3


async def test_failures_are_not_journaled() -> None:
    session = Session(Memory())
    model = ScriptedModel(lambda _: ModelError("busy"))
    with session.phase("forward"):
        for _ in range(2):
            with pytest.raises(ModelError):
                await ask(model, request())
    assert len(model.log) == 2
    assert session.total() == Usage()


async def test_models_that_recompute_are_not_journaled() -> None:
    journal, model = Memory(), ScriptedModel(echo, name="local")
    session = Session(journal, recompute=frozenset({"local"}))
    with session.phase("forward"):
        await ask(model, request())
        await ask(model, request())
    assert len(model.log) == 2
    assert not journal.entries
    assert session.total().calls == 2


@pytest.mark.parametrize("result", [None, 1, "a", [1, {"a": [True]}], {"a": 2.5}])
async def test_an_effect_is_performed_once_per_key(result: Any) -> None:
    done = []

    async def effect() -> Any:
        done.append(1)
        return result

    session = Session(Memory())
    with session.phase("forward"):
        assert [await perform("one", effect) for _ in range(3)] == [result] * 3
        assert len(done) == 1
        await perform("two", effect)
    assert len(done) == 2


@pytest.mark.parametrize(
    "result", [(1, 2), {1: 2}, object(), [object()]], ids=["tuple", "integer keys", "object", "list of objects"]
)
async def test_what_json_would_change_is_not_journaled(result: Any) -> None:
    journal = Memory()
    with Session(journal).phase("forward"):

        async def effect() -> Any:
            return result

        assert await perform("key", effect) is result
    assert not journal.entries


class Pay(Graph):
    def __init__(self, paid: list[str], effects: Any) -> None:
        self.solve = LLM(ScriptedModel(echo), template="{question}")
        self.pay = Function(lambda text: paid.append(text) or len(paid), effects=effects)

    async def forward(self, question: Value) -> Value:
        return await self.pay(await self.solve(question=question))


@pytest.mark.parametrize(("effects", "times"), [("once", 1), ("repeatable", 1), ("none", 2)])
def test_a_run_started_again_pays_once(effects: str, times: int) -> None:
    journal, paid = Memory(), list[str]()
    graph = Pay(paid, effects)
    outputs = []
    for _ in range(2):  # the second one is the run after a kill
        with Session(journal).phase("forward"):
            outputs.append(graph.run({"question": "q"}).output)
    assert len(paid) == times
    assert len(graph.solve.model.log) == 1  # type: ignore[attr-defined]
    if times == 1:
        assert [output.data for output in outputs if output] == [1, 1]
    with Session(journal).phase("forward"):
        graph.run({"question": "q"}, sample=1)
    assert len(paid) == times + 1
