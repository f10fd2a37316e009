import asyncio
import gc

from textgrad_rl.models.per_loop import PerLoop


def test_every_loop_has_its_own_resource_closed_with_it() -> None:
    log: list[str] = []
    made: list[object] = []

    def make() -> object:
        made.append(object())
        return made[-1]

    async def close(resource: object) -> None:
        await asyncio.sleep(0)
        log.append(f"closed {made.index(resource)}")

    per_loop = PerLoop(make, close)

    async def use() -> list[object]:
        return await asyncio.gather(per_loop.get(), per_loop.get(), per_loop.get())

    assert asyncio.run(use()) == [made[0]] * 3
    assert log == ["closed 0"]
    assert asyncio.run(use()) == [made[1]] * 3
    assert log == ["closed 0", "closed 1"]


def test_a_resource_outlives_its_owner_until_the_loop_ends() -> None:
    log: list[str] = []

    async def close(resource: list[int]) -> None:
        log.append("closed")

    async def use() -> None:
        await PerLoop(lambda: [0], close).get()
        gc.collect()
        await asyncio.sleep(0.01)
        assert log == []

    asyncio.run(use())
    assert log == ["closed"]


def test_a_resource_may_need_no_closing() -> None:
    per_loop = PerLoop(object)

    async def use() -> object:
        return await per_loop.get()

    assert asyncio.run(use()) is not asyncio.run(use())
