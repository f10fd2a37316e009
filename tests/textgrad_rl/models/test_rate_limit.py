import asyncio
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgrad_rl.models import rate_limit
from textgrad_rl.models.rate_limit import WINDOW_S, RateLimit, Window, estimated_tokens
from textgrad_rl_graphs.errors import ConfigError
from textgrad_rl_graphs.types import Image, Message, Request, Sampling, Usage

REQUEST = Request(messages=(Message("user", "x" * 40),), sampling=Sampling(max_tokens=90))  # 10 + 90 tokens


@given(
    st.integers(1, 5),
    st.floats(1, 100),
    st.lists(st.tuples(st.floats(0, 40), st.floats(0, 60)), max_size=40),
)
def test_no_window_holds_more_than_the_limits(requests: int, tokens: float, calls: list[tuple[float, float]]) -> None:
    window, now, starts = Window(requests, tokens), 0.0, list[tuple[float, float]]()
    for pause, tokens_of_call in calls:
        now += pause
        booking = window.book(tokens_of_call, now)
        assert booking.start_s >= now
        starts.append((booking.start_s, booking.tokens))
    assert starts == sorted(starts, key=lambda start: start[0])
    for end, _ in starts:
        within = [amount for start, amount in starts if end - WINDOW_S + 1e-6 < start <= end]
        assert len(within) <= requests
        assert sum(within) <= tokens * (1 + 1e-9)


def test_calls_start_at_once_while_there_is_room_and_as_early_as_it_comes_back() -> None:
    window = Window(inf, 100)
    assert [window.book(tokens, now_s=0).start_s for tokens in (60, 40, 30, 60, 20)] == [0, 0, 60, 60, 120]
    assert window.book(1000, now_s=200).start_s == 200  # larger than the limit: alone, but not never


def test_the_real_tokens_replace_the_estimate() -> None:
    window = Window(inf, 100)
    first = window.book(90, now_s=0)
    window.correct(first, 10)
    second = window.book(90, now_s=1)
    assert second.start_s == 1
    window.correct(second, 300)
    assert window.book(1, now_s=2).start_s == 61


def test_a_call_is_estimated_by_its_letters_images_and_the_answers_so_far() -> None:
    assert estimated_tokens(REQUEST, None) == 100
    assert estimated_tokens(REQUEST, 20) == 30
    seen = Request(messages=(Message("user", "", images=(Image(b""), Image(b""))),))
    assert estimated_tokens(seen, None) == 2256


async def test_waiting_is_real_and_a_cancelled_call_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "WINDOW_S", 0.5)
    limit, loop = RateLimit(None, 100), asyncio.get_running_loop()
    start = loop.time()
    booking = await limit.admit(REQUEST)
    waiting = asyncio.create_task(limit.admit(REQUEST))
    await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert loop.time() - start < 0.4
    limit.correct(booking, Usage(10, 0, calls=1))
    await limit.admit(REQUEST)  # its turn is the cancelled one's: not before, and not a window later
    assert 0.49 <= loop.time() - start < 0.95


async def test_without_limits_nothing_waits() -> None:
    limit = RateLimit(None, None)
    assert await limit.admit(REQUEST) is None
    limit.correct(None, Usage(1, 1, calls=1))


@pytest.mark.parametrize("limits", [(0, None), (None, 0.5), (float("nan"), None)])
def test_a_limit_that_lets_nothing_pass_is_refused(limits: tuple[float | None, float | None]) -> None:
    with pytest.raises(ConfigError, match="per_minute must be >= 1"):
        RateLimit(*limits)
