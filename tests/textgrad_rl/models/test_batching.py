import asyncio
import gc
import threading
import weakref
from collections.abc import Sequence

import pytest

from textgrad_rl.models.batching import Batcher


class Doubler:
    """Doubles numbers and remembers its batches; fails for a batch that holds a negative number."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.threads: set[int] = set()

    def __call__(self, items: Sequence[int]) -> list[int | Exception]:
        self.batches.append(list(items))
        self.threads.add(threading.get_ident())
        if min(items) < 0:
            raise ArithmeticError("negative")
        return [ValueError("zero") if item == 0 else 2 * item for item in items]


@pytest.mark.parametrize("inline", [True, False])
def test_concurrent_callers_share_a_batch_on_every_loop(inline: bool) -> None:
    run = Doubler()
    batcher = Batcher(run, inline=inline)

    async def ask(count: int) -> list[int]:
        return await asyncio.gather(*(batcher.ask(item) for item in range(1, count + 1)))

    assert asyncio.run(ask(3)) == [2, 4, 6]
    assert asyncio.run(ask(2)) == [2, 4]
    assert run.batches == [[1, 2, 3], [1, 2]]
    assert (run.threads == {threading.get_ident()}) is inline


async def test_callers_some_tasks_away_still_join() -> None:
    run = Doubler()
    batcher = Batcher(run, inline=True)

    async def later(depth: int) -> int:
        if depth == 0:
            return await batcher.ask(1)
        return await asyncio.create_task(later(depth - 1))

    assert await asyncio.gather(*(later(depth) for depth in range(8))) == [2] * 8
    assert len(run.batches) == 1


async def test_what_arrives_during_a_batch_is_the_next_one() -> None:
    started, go_on = threading.Event(), threading.Event()
    batches: list[int] = []

    def run(items: Sequence[int]) -> Sequence[int | Exception]:
        batches.append(len(items))
        started.set()
        go_on.wait(10)
        return items

    batcher = Batcher(run, inline=False)
    first = asyncio.create_task(batcher.ask(1))
    await asyncio.to_thread(started.wait, 10)
    others = [asyncio.create_task(batcher.ask(item)) for item in (2, 3)]
    await asyncio.sleep(0.01)  # the loop goes on while the batch is under way
    go_on.set()
    assert await asyncio.gather(first, *others) == [1, 2, 3]
    assert batches == [1, 2]


async def test_an_item_s_error_reaches_its_caller_alone() -> None:
    batcher = Batcher(Doubler(), inline=True)
    answers = await asyncio.gather(*(batcher.ask(item) for item in (1, 0, 2)), return_exceptions=True)
    assert answers[::2] == [2, 4]
    assert isinstance(answers[1], ValueError)


@pytest.mark.parametrize("inline", [True, False])
async def test_a_batch_s_error_reaches_its_callers_and_no_later_one(inline: bool) -> None:
    batcher = Batcher(Doubler(), inline=inline)
    answers = await asyncio.gather(batcher.ask(1), batcher.ask(-1), return_exceptions=True)
    assert all(isinstance(answer, ArithmeticError) for answer in answers)
    assert await batcher.ask(1) == 2


async def test_too_few_results_are_an_error_and_not_a_hang() -> None:
    batcher: Batcher[int, int] = Batcher(lambda items: [], inline=True)
    with pytest.raises(RuntimeError, match="1 items, 0 results"):
        await asyncio.wait_for(batcher.ask(1), 5)


async def test_a_caller_that_leaves_is_not_computed() -> None:
    run = Doubler()
    batcher = Batcher(run, inline=True)
    leaver, stayer = asyncio.create_task(batcher.ask(1)), asyncio.create_task(batcher.ask(2))
    await asyncio.sleep(0)
    leaver.cancel()
    assert await stayer == 4
    assert run.batches == [[2]]


def test_no_loop_is_kept_alive() -> None:
    batcher = Batcher(Doubler(), inline=True)
    loop = asyncio.new_event_loop()
    gone = weakref.ref(loop)
    assert loop.run_until_complete(batcher.ask(1)) == 2
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    del loop
    gc.collect()
    assert gone() is None
