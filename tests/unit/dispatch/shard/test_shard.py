"""A shard: a city it owns is run by somebody, whatever its parts do, and ends within seconds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import pytest
import pytest_asyncio

from dispatch.shard import runner as runners
from dispatch.shard import shard as shards
from dispatch.shard.runner import CityRunner
from dispatch.shard.shard import Shard
from node.clock import SystemClock
from tests.unit.dispatch.shard.memory_city import CITY, PARTITION, MemoryCity
from tests.unit.dispatch.shard.worlds import ownership


async def until(true: Callable[[], bool]) -> None:
    """Waits for a condition."""
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


@pytest_asyncio.fixture
async def shard(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shard]:
    """A shard that holds its city and runs it, and has little patience."""
    monkeypatch.setattr(shards, "_RELOAD_PAUSE_S", (0.001, 0.01))
    monkeypatch.setattr(runners, "LAST_WORDS_S", 0.05)
    world = MemoryCity()
    world.clock = SystemClock()  # type: ignore[assignment]
    parts = (await world.owner()).parts
    shard = Shard("shard-1", parts, lambda city, epoch: world.holds)
    await shard.take(ownership(CITY, 1, PARTITION))
    yield shard
    await shard.close()


def part(runner: CityRunner, name: str) -> asyncio.Task[None]:
    """One of the runner's tasks."""
    return next(task for task in runner._tasks if task.get_name() == f"{name}:{CITY}")


@pytest.mark.parametrize("name", ["ticks", "ingest", "feed", "wakes", "relay"])
async def test_a_city_that_lost_a_part_is_loaded_again(shard: Shard, name: str) -> None:
    """A part that was cancelled by something else is a failure: no city stays deaf or without ticks."""
    before = shard.runners[CITY]
    await asyncio.sleep(0)
    part(before, name).cancel()
    await until(lambda: shard.runners.get(CITY) not in (None, before))
    assert all(task.done() for task in before._tasks)


async def test_a_city_is_loaded_again_whatever_stands_in_the_way(shard: Shard, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that nobody foresaw while loading does not leave an owned city to nobody."""
    before, load, failures = shard.runners[CITY], CityRunner.load, [ValueError("damaged"), KeyError("missing")]

    async def failing(*args: object) -> CityRunner:
        if failures:
            raise failures.pop()
        return await load(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(CityRunner, "load", staticmethod(failing))
    part(before, "ticks").cancel()
    await until(lambda: shard.runners.get(CITY) not in (None, before))
    assert failures == []


async def test_a_city_that_fails_again_and_again_is_left_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is damaged here may load elsewhere: after so many failures without a sound run it is given up."""
    monkeypatch.setattr(shards, "_RELOAD_PAUSE_S", (0.001, 0.001))
    world = MemoryCity()
    world.clock = SystemClock()  # type: ignore[assignment]
    given_up: list[tuple[str, int, str]] = []
    parts = (await world.owner()).parts
    shard = Shard("shard-1", parts, lambda city, epoch: True, lambda *words: given_up.append(words))
    await shard.take(ownership(CITY, 1, PARTITION))

    async def damaged(*args: object) -> CityRunner:
        raise ValueError("damaged")

    await asyncio.sleep(0)
    monkeypatch.setattr(CityRunner, "load", staticmethod(damaged))
    part(shard.runners[CITY], "ticks").cancel()
    await until(lambda: bool(given_up))
    assert given_up == [(CITY, 1, "it failed 5 times in a row")]
    await shard.close()


async def test_a_sound_run_clears_the_count(shard: Shard) -> None:
    """A failure after a minute of good health is a first failure again."""
    assert [shard._failed_again(CITY) for _ in range(3)] == [1, 2, 3]
    shard._ran_s[CITY] = shard._parts.clock.monotonic_s() - shards._SOUND_S
    assert shard._failed_again(CITY) == 1


async def test_a_city_moves_between_shards_of_one_world() -> None:
    """Followed, settled, taken from the shadow; calls made while it is taken wait for it."""
    world = MemoryCity()
    world.clock = SystemClock()  # type: ignore[assignment]
    parts = (await world.owner()).parts
    old, new = (Shard(name, parts, lambda city, epoch: True) for name in ("old", "new"))
    await old.take(ownership(CITY, 1, PARTITION))
    await new.shadow(ownership(CITY, 1, PARTITION))
    assert new.load().shadows == {CITY: 0}
    assert await old.settle(CITY, 1) >= 0
    taking = asyncio.create_task(new.take(ownership(CITY, 2, PARTITION)))
    await asyncio.sleep(0)
    city = await new.soon(CITY)
    await taking
    assert (city.epoch, new.load().shadows) == (2, {})
    await new.first_tick(CITY, 2)
    await old.drop(CITY, 1, "it moved")
    await new.close()


async def test_a_drop_ends_the_loading_too(shard: Shard, monkeypatch: pytest.MonkeyPatch) -> None:
    """A city that is lost while it is loaded again is not run by this shard any more."""
    before, loading = shard.runners[CITY], asyncio.Event()

    async def never(*args: object) -> CityRunner:
        loading.set()
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(CityRunner, "load", staticmethod(never))
    part(before, "ticks").cancel()
    await loading.wait()
    async with asyncio.timeout(5):
        await shard.drop(CITY, 1, "lost")
    assert shard.runners == {}
    assert not [task for task in asyncio.all_tasks() if task.get_name() == f"reload:{CITY}"]


async def test_a_part_that_swallows_its_cancellation_does_not_hold_up_the_end(shard: Shard) -> None:
    """It is cancelled again; and if that does not help either, left behind."""
    runner, freed = shard.runners[CITY], asyncio.Event()

    async def stubborn() -> None:
        while not freed.is_set():
            with suppress(asyncio.CancelledError):
                await freed.wait()

    runner._start("stubborn", stubborn())
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await shard.drop(CITY, 1, "lost")
    assert shard.runners == {}
    freed.set()
    await part(runner, "stubborn")
