import asyncio

import pytest

from textgrad_rl.models.dispatcher import Dispatcher
from textgrad_rl.models.retry import TransientError
from textgrad_rl_graphs.errors import ConfigError, ModelError
from textgrad_rl_graphs.types import Completion, Message, Request, Usage

REQUEST = Request(messages=(Message("user", "who"),))


def dispatcher(*, max_concurrency: int = 2, retries: int = 1, requests_per_minute: float | None = None) -> Dispatcher:
    return Dispatcher(
        max_concurrency=max_concurrency,
        retries=retries,
        requests_per_minute=requests_per_minute,
        tokens_per_minute=None,
    )


async def test_calls_take_turns_in_the_slots() -> None:
    sending, running, most = dispatcher(), 0, 0

    async def attempt() -> Completion:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1
        return Completion(text="fine", usage=Usage(calls=1))

    answers = await asyncio.gather(*(sending.send(REQUEST, attempt) for _ in range(7)))
    assert [answer.text for answer in answers] == ["fine"] * 7
    assert most == 2


@pytest.mark.parametrize("error", [ModelError("refused"), TransientError("busy"), RuntimeError("broken")], ids=repr)
async def test_a_call_that_fails_gives_its_slot_back(error: Exception) -> None:
    sending = dispatcher(max_concurrency=1, retries=0)

    async def fail() -> Completion:
        raise error

    async def attempt() -> Completion:
        return Completion(text="fine")

    with pytest.raises(RuntimeError, match=str(error)):
        await sending.send(REQUEST, fail)
    async with asyncio.timeout(1):
        assert (await sending.send(REQUEST, attempt)).text == "fine"


async def test_every_attempt_counts_for_the_rate_limit() -> None:
    sending, made = dispatcher(requests_per_minute=2, retries=5), 0

    async def attempt() -> Completion:
        nonlocal made
        made += 1
        raise TransientError("busy")

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await sending.send(REQUEST, attempt)
    assert made == 2


def test_a_setting_that_lets_nothing_pass_is_refused() -> None:
    with pytest.raises(ConfigError, match="max_concurrency must be >= 1"):
        dispatcher(max_concurrency=0)
    with pytest.raises(ConfigError, match="retries must be >= 0"):
        dispatcher(retries=-1)
