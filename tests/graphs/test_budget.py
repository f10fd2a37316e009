import asyncio
import random

import pytest

from tests.support.scripted import ScriptedModel
from textgrad_rl.models import FunctionModel
from textgrad_rl_graphs.budget import Budget
from textgrad_rl_graphs.cache import cached
from textgrad_rl_graphs.errors import BudgetError, ConfigError, ModelError
from textgrad_rl_graphs.session import Session, ask
from textgrad_rl_graphs.types import Completion, Message, Request, Sampling, Usage

USAGE = Usage(prompt_tokens=10**9, generated_tokens=2_500_000, calls=30, usd=1.25)


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({}, ""),
        ({"tokens": 2_500_001, "calls": 31, "usd": 1.26, "seconds": 61}, ""),
        ({"tokens": 2_500_000}, "the budget of 2,500,000 tokens is used up"),
        ({"tokens": 1}, "the budget of 1 tokens is used up"),
        ({"calls": 30}, "the budget of 30 calls is used up"),
        ({"usd": 0.5}, "the budget of 0.5 usd is used up"),
        ({"seconds": 60.0}, "the budget of 60.0 seconds is used up"),
    ],
)
def test_a_limit_that_is_reached_is_named(limits, said):
    assert Budget(**limits).spent(USAGE, 60.0) == said


@pytest.mark.parametrize("name", ["calls", "tokens", "usd", "seconds"])
@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_that_allows_nothing_is_rejected(name, limit):
    with pytest.raises(ConfigError, match=rf"Budget\({name}={limit}\) allows nothing"):
        Budget(**{name: limit})


# ---- enforced where calls leave


def request(number=0, **settings):
    return Request(messages=(Message("user", "go"),), seed=number, **settings)


async def ask_many(session, model, requests):
    """Ask all at once; return how many were answered and the refusals."""
    with session.phase("rollout"):
        outcomes = await asyncio.gather(*(ask(model, item) for item in requests), return_exceptions=True)
    refused = [item for item in outcomes if isinstance(item, BudgetError)]
    assert all(isinstance(item, BudgetError | Completion) for item in outcomes)
    return len(outcomes) - len(refused), refused


def words(count):
    """An answer whose length in words, and so in tokens, is a function of the seed."""
    return lambda item: " ".join(["word"] * count(random.Random(item.seed)))


def model(count=lambda draw: draw.randint(1, 20), usd=0.0):
    def answer(item):
        text = words(count)(item)
        return Completion(text=text, usage=Usage(1, len(text.split()), 1, usd))

    async def complete(item):
        running[0] += 1
        running[1] = max(running)
        await asyncio.sleep(0.02 * random.Random(item.seed).random())
        running[0] -= 1
        return answer(item)

    running = [0, 0]
    made = FunctionModel(complete)
    return made, running


async def test_of_many_calls_at_once_only_as_many_leave_as_the_budget_holds():
    made, running = model()
    session = Session(budget=Budget(calls=10))
    answered, refused = await ask_many(session, made, map(request, range(64)))
    assert (answered, len(refused), session.total().calls) == (10, 54, 10)
    assert {str(item) for item in refused} == {"the budget of 10 calls is used up"} == {session.refused}
    assert running[1] == 10
    assert (await ask_many(session, made, [request(99)]))[0] == 0


@pytest.mark.parametrize("seed", range(3))
async def test_tokens_are_never_exceeded_where_requests_have_a_limit(seed):
    made, running = model()
    session = Session(budget=Budget(tokens=1000))
    requests = [request(1000 * seed + number, sampling=Sampling(max_tokens=20)) for number in range(300)]
    answered, refused = await ask_many(session, made, requests)
    used = session.total().generated_tokens
    assert 1000 - 20 < used <= 1000  # what is reserved comes back: nothing is refused while it may still fit
    assert running[1] > 10
    assert answered + len(refused) == 300


@pytest.mark.parametrize("seed", range(3))
async def test_without_a_limit_the_longest_answer_so_far_is_reserved(seed):
    made, running = model()
    session = Session(budget=Budget(tokens=1000))
    await ask_many(session, made, [request(1000 * seed + number) for number in range(300)])
    used, longest = session.total().generated_tokens, 20
    assert 1000 - longest < used <= 1000 + longest  # measured; the bound is calls in flight times what is longer
    assert running[1] > 10


async def test_dollars_are_learned_from_answers():
    made, _ = model(usd=0.01)
    session = Session(budget=Budget(usd=0.105))
    answered, _ = await ask_many(session, made, map(request, range(64)))
    assert answered == 10
    assert "usd is used up: 0.0999" in session.refused or "usd is used up: 0.1 used" in session.refused


async def test_after_the_time_no_call_leaves_and_those_under_way_are_finished():
    made, _ = model()
    session = Session(budget=Budget(seconds=0.05))
    assert (await ask_many(session, made, [request(1)]))[0] == 1
    await asyncio.sleep(0.06)
    answered, refused = await ask_many(session, made, [request(2)])
    assert (answered, str(refused[0])) == (0, "the budget of 0.05 seconds is used up")


async def test_calls_that_fail_have_left_all_the_same():
    failing = ScriptedModel(lambda _: ModelError("busy"))
    session = Session(budget=Budget(calls=3))
    with session.phase("rollout"):
        outcomes = await asyncio.gather(*(ask(failing, request(n)) for n in range(9)), return_exceptions=True)
    assert [type(item) for item in outcomes] == [ModelError] * 3 + [BudgetError] * 6
    assert len(failing.log) == 3


async def test_answers_from_the_journal_and_the_cache_are_free_to_leave(tmp_path):
    class Memory(dict):
        put = dict.__setitem__

    made, _ = model()
    journal = Memory()
    await ask_many(Session(journal), made, map(request, range(5)))
    session = Session(journal, budget=Budget(calls=5))
    assert (await ask_many(session, made, map(request, range(5))))[0] == 5  # paid before, so they fill the budget
    assert (await ask_many(session, made, [request(6)]))[0] == 0
    with cached(tmp_path):
        await ask_many(Session(), made, map(request, range(5)))
        session = Session(budget=Budget(calls=1))
        assert (await ask_many(session, made, map(request, range(6))))[0] == 6
        assert (await ask_many(session, made, [request(7)]))[0] == 0


async def test_a_soft_budget_refuses_nothing():
    made, _ = model()
    assert (await ask_many(Session(budget=Budget(calls=1, hard=False)), made, map(request, range(5))))[0] == 5


async def test_an_answer_under_way_is_kept_when_who_asked_gives_up():
    class Memory(dict):
        put = dict.__setitem__

    made, _ = model()
    journal = Memory()
    session = Session(journal)
    with session.phase("rollout"):
        task = asyncio.create_task(ask(made, request()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert len(journal) == 0
    await session.finish()
    assert (len(journal), session.total().calls) == (1, 1)
    with session.phase("rollout"), pytest.raises(BudgetError, match="the run has ended"):
        await ask(made, request(1))


async def test_a_model_that_asks_another_one_does_not_wait_for_itself():
    inner, _ = model(lambda _: 3)

    async def outer(item):
        return (await ask(inner, request(item.seed, sampling=Sampling(max_tokens=10)))).text

    session = Session(budget=Budget(tokens=15))
    async with asyncio.timeout(5):
        answered, _ = await ask_many(session, FunctionModel(outer), [request(sampling=Sampling(max_tokens=10))])
    assert answered == 0
    assert "15 tokens is used up" in session.refused


async def test_calls_inside_of_calls_do_not_wait_for_a_call_that_waits_for_them():
    inner, _ = model(lambda _: 3)

    async def outer(item):
        await asyncio.sleep(0.01)  # until another one waits for its turn
        return (await ask(inner, request(item.seed))).text

    session = Session(budget=Budget(tokens=100))
    async with asyncio.timeout(20):
        answered, refused = await ask_many(session, FunctionModel(outer), map(request, range(60)))
    assert answered + len(refused) == 60
    assert 0 < session.total().generated_tokens <= 100
