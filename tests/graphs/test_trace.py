"""Keys, order and seeds of a run must not depend on when answers arrive."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.scripted import ScriptedModel, echo, random_latency
from textgrad_rl_graphs.graph import Graph, join
from textgrad_rl_graphs.node import LLM, Function
from textgrad_rl_graphs.prompt import Prompt
from textgrad_rl_graphs.trace import Replay, Trace, producers_of
from textgrad_rl_graphs.types import Completion, Example
from textgrad_rl_graphs.value import Value


class Inner(Graph):
    def __init__(self, model: ScriptedModel) -> None:
        self.draft = LLM(model, template="draft {text}")
        self.polish = LLM(model, template="polish {text}")

    async def forward(self, text: Value) -> Value:
        return await self.polish(text=await self.draft(text=text))


class Parallel(Graph):
    """Branches, a loop whose length depends on an answer, repeated equal calls and a nested graph used twice."""

    def __init__(self, model: ScriptedModel) -> None:
        self.plan = LLM(model, template="plan {question}")
        self.vote = LLM(model, template="vote {plan}")
        self.again = LLM(model, template="again {text}")
        self.pick = Function(min, effects="none")
        self.inner = Inner(model)

    async def forward(self, question: Value) -> Value:
        async def branch(number: int) -> Value:
            text = await self.plan(question=join(question, str(number)))
            for _ in range(2 + len(text.text) % 2):
                text = await self.again(text=text)
            return await self.inner(text=text)

        votes = asyncio.gather(*(self.vote(plan=question) for _ in range(4)))
        branches = await asyncio.gather(*(branch(number) for number in range(3)))
        return join(await self.pick(*await votes), *branches, await self.inner(text=question))


class EqualCallsInBranches(Graph):
    """Each branch asks the same question after a call that takes its time, then uses both."""

    def __init__(self, model: ScriptedModel) -> None:
        self.first = LLM(model, template="first {number}")
        self.guess = LLM(model, template="guess {question}")
        self.both = LLM(model, template="both {one} {two}")

    async def forward(self, question: Value) -> Value:
        async def branch(number: int) -> Value:
            one = await self.first(number=number)
            two = await self.guess(question=question)
            return await self.both(one=one, two=two)

        return join(*await asyncio.gather(*(branch(number) for number in range(4))))


def record(trace: Trace) -> list[tuple[Any, ...]]:
    """Everything about a run that must not depend on timing."""
    assert trace.output is not None
    calls = [
        (call.key, call.path, call.occurrence, trace.seed_for(call.key, "solve"), call.output and call.output.text)
        for call in trace.ordered()
    ]
    return [*calls, (trace.output.text, trace.output.key)]


@pytest.mark.parametrize("build", [Parallel, EqualCallsInBranches])
def test_keys_order_seeds_and_answers_do_not_depend_on_latencies(build: Callable[[ScriptedModel], Graph]) -> None:
    graph_inputs = Example({"question": "q"})
    arrivals, records = set(), []
    for seed in range(8):
        model = ScriptedModel(echo, latency=random_latency(seed))
        records.append(record(build(model).run(graph_inputs)))
        arrivals.add(tuple(request.messages[-1].content for request in model.finished))
        assert model.peak > 1
    assert len(arrivals) > 1, "the latencies did not change the order, so this test shows nothing"
    assert all(one == records[0] for one in records)
    assert len({key for key, *_ in records[0]}) == len(records[0])


class Repeats(Graph):
    def __init__(self, model: ScriptedModel, system: str | Prompt | None = None) -> None:
        self.solve = LLM(model, system=system, template="{question}")
        self.other = LLM(model, system=system, template="{question}")

    async def forward(self, question: Value) -> Value:
        return join(*[await self.solve(question=question) for _ in range(3)], await self.other(question=question))


def keys(trace: Trace) -> list[str]:
    return [call.key for call in trace.calls.values()]


def test_equal_calls_get_keys_and_seeds_of_their_own() -> None:
    trace = Repeats(ScriptedModel(echo)).run({"question": "q"})
    calls = [call for call in trace.ordered() if call.path == "solve"]
    assert sorted(call.occurrence for call in calls) == [0, 1, 2]
    assert len({trace.seed_for(call.key, "solve") for call in trace.calls.values()}) == len(trace.calls) == 5


@pytest.mark.parametrize("change", ["input", "prompt version", "path"])
def test_a_key_changes_with_what_it_is_made_of_and_nothing_else(change: str) -> None:
    prompt = Prompt("Solve.")
    graph = Repeats(ScriptedModel(echo), prompt)
    before = keys(graph.run({"question": "q"}, sample=0, seed=0))
    assert before == keys(graph.run({"question": "q"}, sample=5, seed=9, step=2))
    if change == "prompt version":
        prompt.text = "Solve it."
        after = keys(graph.run({"question": "q"}))
        prompt.text = "Solve."
        assert keys(graph.run({"question": "q"})) == before
    elif change == "input":
        after = keys(graph.run({"question": "other"}))
    else:
        trace = graph.run({"question": "q"})
        solve, other = (next(call for call in trace.calls.values() if call.path == path) for path in ("solve", "other"))
        assert solve.key != other.key
        return
    assert not set(before) & set(after)


def test_versionless_runs_share_keys_and_seeds_across_prompt_versions() -> None:
    prompt = Prompt("Solve.")
    graph = Repeats(ScriptedModel(echo), prompt)
    before = graph.run({"question": "q"}, versionless=True)
    prompt.text = "Solve it."
    after = graph.run({"question": "q"}, versionless=True)
    assert keys(before) == keys(after)
    assert next(iter(before.calls.values())).prompt_version != next(iter(after.calls.values())).prompt_version


def test_a_seed_depends_on_run_step_example_sample_call_role_and_attempt() -> None:
    graph = Repeats(ScriptedModel(echo))
    traces = [
        graph.run({"question": "q"}),
        graph.run({"question": "q"}, seed=1),
        graph.run({"question": "q"}, step=1),
        graph.run({"question": "q"}, sample=1),
        graph.run({"question": "p"}),
    ]
    seeds = [trace.seed_for("key", "solve") for trace in traces]
    seeds += [traces[0].seed_for("other", "solve"), traces[0].seed_for("key", "refine")]
    seeds.append(traces[0].seed_for("key", "solve", 1))
    assert len(set(seeds)) == len(seeds)
    assert traces[0].seed_for("key", "solve") == seeds[0]


def test_the_seed_reaches_the_model() -> None:
    model = ScriptedModel(echo)
    trace = Repeats(model).run({"question": "q"}, seed=3)
    sent = sorted(request.seed for request in model.log)
    assert sent == sorted(trace.seed_for(call.key, "solve") for call in trace.calls.values() if call.messages)


def test_ordered_puts_producers_first() -> None:
    trace = Parallel(ScriptedModel(echo, latency=random_latency(1))).run({"question": "q"})
    position = {call.key: index for index, call in enumerate(trace.ordered())}
    assert len(position) == len(trace.calls)
    for call in trace.calls.values():
        assert all(position[producer.key] < position[call.key] for producer in producers_of(call))


def test_ordered_breaks_ties_by_path() -> None:
    class Wide(Graph):
        def __init__(self) -> None:
            self.nodes_ = {name: LLM(ScriptedModel(echo), template="{question}") for name in "fbdace"}

        async def forward(self, question: Value) -> Value:
            first = [await node(question=question) for node in self.nodes_.values()]
            return join(*[await node(question=first[0]) for node in self.nodes_.values()])

    letters = [call.path[-1] for call in Wide().run({"question": "q"}).ordered()]
    assert letters == [*"abcdef", *"abcdef", "n"]


def test_usage_is_the_sum_over_calls_and_ids_tell_runs_apart() -> None:
    graph = Repeats(ScriptedModel(echo))
    trace = graph.run({"question": "q"}, step=2, sample=1)
    assert trace.usage.calls == 4
    assert trace.group == f"2/{trace.example_id}"
    assert trace.id == f"{trace.group}/1"


def test_a_rerun_is_known_by_all_that_was_replaced_in_it_and_in_what_it_came_from() -> None:
    graph = Repeats(ScriptedModel(echo))
    source = graph.run({"question": "q"})
    first = next(call.key for call in source.calls.values() if call.path == "solve")
    other = next(call.key for call in source.calls.values() if call.path == "other")

    def rerun(of: Trace, key: str, text: str) -> Trace:
        return graph.run({"question": "q"}, replay=Replay(of, {key: Completion(text=text)}))

    one, two = rerun(source, first, "one"), rerun(source, first, "two")
    deeper = [rerun(one, other, "x"), rerun(two, other, "x")]
    ids = [source.id, one.id, two.id, *(trace.id for trace in deeper)]
    assert len(set(ids)) == len(ids)
    assert rerun(source, first, "one").id == one.id
    assert [call.output.text for call in deeper[0].calls.values() if call.refined and call.output] == ["one", "x"]
