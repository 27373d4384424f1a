"""A shard: a city it owns is run by somebody, whatever its parts do, and ends within seconds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import pytest_asyncio

from dispatch.shard import runner as runners
from dispatch.shard.runner import CityRunner
from dispatch.shard.shard import Shard
from node.clock import SystemClock
from node.errors import Retryable
from shard_router.errors import NotOwner
from tests.unit.dispatch.shard.memory_city import CITY, PARTITION, MemoryCity
from tests.unit.dispatch.shard.worlds import holding, ownership


@pytest_asyncio.fixture
async def shard(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shard]:
    """A shard that holds its city and runs it."""
    monkeypatch.setattr(runners, "CANCEL_TIMEOUT_S", 0.05)
    world = MemoryCity()
    world.clock = SystemClock()  # type: ignore[assignment]
    dependencies = (await world.owner()).dependencies
    own = ownership(CITY, 1, PARTITION)
    shard = Shard("shard-1", dependencies, holding(own))
    await shard.take(own)
    yield shard
    await shard.drop(CITY, 1, "the test is over")


def running(shard: Shard) -> CityRunner:
    """The runner of the shard's city."""
    runner = shard.runner(CITY)
    assert runner is not None
    return runner


def part(runner: CityRunner, name: str) -> asyncio.Task[None]:
    """One of the runner's tasks."""
    return next(task for task in runner._tasks if task.get_name() == f"{name}:{CITY}")


@pytest.mark.parametrize("name", ["ticks", "ingest", "feed", "wakes", "relay"])
async def test_a_part_that_ends_is_a_failure_of_the_city(shard: Shard, name: str) -> None:
    """A part that was cancelled by something else: the lease hears of it, and has the city taken again."""
    before = running(shard)
    await asyncio.sleep(0)
    part(before, name).cancel()
    async with asyncio.timeout(5):
        await shard.failure(CITY, 1)
        await shard.drop(CITY, 1, "a part of it failed")
        await shard.take(ownership(CITY, 1, PARTITION))
    assert running(shard) is not before
    assert all(task.done() for task in before._tasks)


async def test_a_city_that_does_not_run_here_has_failed(shard: Shard) -> None:
    """Whoever waits for its failure does not wait in vain."""
    await shard.drop(CITY, 1, "lost")
    async with asyncio.timeout(5):
        await shard.failure(CITY, 1)


@pytest.mark.parametrize("error", [ValueError("damaged"), Retryable("not now"), asyncio.CancelledError()])
async def test_a_take_that_fails_leaves_nothing(
    shard: Shard, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it raises; calls that waited for the city are told at once."""
    await shard.drop(CITY, 1, "lost")
    loading = asyncio.Event()

    async def failing(*args: object) -> CityRunner:
        loading.set()
        await asyncio.sleep(0)
        raise error

    monkeypatch.setattr(CityRunner, "load", staticmethod(failing))
    taking = asyncio.create_task(shard.take(ownership(CITY, 1, PARTITION)))
    await loading.wait()
    async with asyncio.timeout(1):
        with pytest.raises(NotOwner):
            await shard.soon(CITY)
    assert isinstance((await asyncio.gather(taking, return_exceptions=True))[0], type(error))
    assert shard.runner(CITY) is None


async def test_a_city_moves_between_shards_of_one_world() -> None:
    """Followed, settled, taken from the shadow; calls made while it is taken wait for it."""
    world = MemoryCity()
    world.clock = SystemClock()  # type: ignore[assignment]
    dependencies = (await world.owner()).dependencies
    first, second = ownership(CITY, 1, PARTITION), ownership(CITY, 2, PARTITION)
    old, new = Shard("old", dependencies, holding(first)), Shard("new", dependencies, holding(second))
    await old.take(first)
    await new.shadow(ownership(CITY, 1, PARTITION))
    assert new.load().shadows == {CITY: 0}
    assert await old.settle(CITY, 1) >= 0
    taking = asyncio.create_task(new.take(second))
    await asyncio.sleep(0)
    city = await new.soon(CITY)
    await taking
    assert (city.epoch, new.load().shadows) == (2, {})
    await new.first_tick(CITY, 2)
    await old.drop(CITY, 1, "it moved")
    await new.drop(CITY, 2, "the test is over")


async def test_a_part_that_swallows_its_cancellation_does_not_hold_up_the_end(shard: Shard) -> None:
    """It is cancelled again; and if that does not help either, left behind."""
    runner, freed = running(shard), asyncio.Event()

    async def stubborn() -> None:
        while not freed.is_set():
            with suppress(asyncio.CancelledError):
                await freed.wait()

    runner._start("stubborn", stubborn())
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await shard.drop(CITY, 1, "lost")
    assert shard.runner(CITY) is None
    freed.set()
    await part(runner, "stubborn")
