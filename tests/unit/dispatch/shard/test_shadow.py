"""A shadow: a city followed without owning it, then taken where its owner stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from dispatch.engine.model import OrderStatus
from dispatch.logs.adapters.memory import MemoryCityLogs
from dispatch.logs.ports import Read
from dispatch.shard import recovery
from dispatch.shard import runner as runners
from dispatch.shard.runner import CityRunner
from dispatch.shard.shadow import Shadow
from node.errors import Retryable
from tests.unit.dispatch.shard.memory_city import CITY, PARTITION, MemoryCity, status_of
from tests.unit.dispatch.shard.worlds import ownership


async def until(true: Callable[[], bool]) -> None:
    """Waits for a condition."""
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def taken(world: MemoryCity, shadow: Shadow, epoch: int = 2) -> CityRunner:
    """The city in the hands of the shadow's shard."""
    city, logs = await shadow.become(ownership(CITY, epoch, PARTITION))
    return CityRunner(city, logs, (await world.owner()).dependencies, lambda: world.holds)


async def test_the_new_owner_goes_on_where_the_old_one_stopped() -> None:
    """State, holdings, tracks, offers and positions are those of the owner, and so is the next tick's beginning."""
    world = MemoryCity()
    owner = await world.owner()
    await world.online({1: (0, 1), 2: (0, 5)})
    await world.open_order("o-1")
    await world.step(owner)
    shadow = await Shadow.begin(ownership(CITY, 1, PARTITION), owner.dependencies)
    await world.reply(owner, accepted=True)
    await world.open_order("o-2", door=(0, 9))
    await world.step(owner)
    await world.fix({1: (3, 3)})
    await world.read(owner)
    await owner.settle()
    new = await taken(world, shadow)
    assert new.city.state == owner.city.state
    assert new.city.committed.holdings == owner.city.committed.holdings
    assert new.city.committed.memory.tracks == owner.city.committed.memory.tracks
    assert (new.city.committed.tick, new.city.ingested.first, new.city.epoch) == (
        owner.city.committed.tick,
        world.decisions._rows(CITY).cut,
        2,
    )
    assert not new.city.ingested.waiting
    await world.open_order("o-3")
    await world.step(new)
    assert status_of(new, "o-1") is OrderStatus.ASSIGNED
    assert await world.decisions.committed(CITY, new.city.committed.tick, 2)


async def test_events_the_owner_did_not_take_are_taken_by_the_new_one() -> None:
    """Between the final cut and the end of the log nothing is lost and nothing is taken twice."""
    world = MemoryCity()
    owner = await world.owner()
    await world.online({1: (0, 1)})
    await world.step(owner)
    shadow = await Shadow.begin(ownership(CITY, 1, PARTITION), owner.dependencies)
    await world.open_order("o-1")
    await world.step(owner)
    await world.open_order("o-2")
    await until(lambda: len(shadow.city.ingested.waiting) >= 2)
    await owner.settle()
    new = await taken(world, shadow)
    assert [event.offset for event in new.city.ingested.waiting] == [new.city.committed.taken_offset]
    await world.step(new)
    assert status_of(new, "o-1") is not None
    assert status_of(new, "o-2") is not None


async def test_a_shadow_of_another_log_is_not_used() -> None:
    """The city is loaded anew then, by whoever takes it."""
    world = MemoryCity()
    owner = await world.owner()
    await world.online({1: (0, 1)})
    await world.step(owner)
    shadow = await Shadow.begin(ownership(CITY, 1, PARTITION), owner.dependencies)
    world.decisions._rows(CITY).cut = None
    with pytest.raises(Retryable):
        await shadow.become(ownership(CITY, 2, PARTITION))


async def test_what_waits_for_the_owner_is_bounded() -> None:
    """Events that the owner has taken leave the shadow's memory with the next look at the database."""
    world = MemoryCity()
    owner = await world.owner()
    await world.online({1: (0, 1)})
    await world.step(owner)
    shadow = await Shadow.begin(ownership(CITY, 1, PARTITION), owner.dependencies)
    for number in range(50):
        await world.open_order(f"o-{number}")
    await until(lambda: shadow.behind == 50)
    await world.step(owner)
    await shadow.sync()
    assert shadow.behind == 0
    await shadow.end()


async def test_what_does_not_end_does_not_hold_up_a_move(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that swallows its cancellation, or logs that do not close: the city is loaded anew by whoever takes it."""
    monkeypatch.setattr(runners, "CANCEL_TIMEOUT_S", 0.001)
    monkeypatch.setattr(runners, "LAST_CUT_S", 0.001)
    world, freed = MemoryCity(), asyncio.Event()
    owner = await world.owner()
    dependencies = replace(owner.dependencies, logs_of=lambda city: Unclosed(world.log, city))
    shadow = await Shadow.begin(ownership(CITY, 1, PARTITION), dependencies)

    async def stubborn() -> None:
        while not freed.is_set():
            with suppress(asyncio.CancelledError):
                await freed.wait()

    shadow._tasks.append(asyncio.create_task(stubborn()))
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        with pytest.raises(Retryable, match="does not end"):
            await shadow.become(ownership(CITY, 2, PARTITION))
        await shadow.end()
    freed.set()
    await shadow._tasks[-1]


class Unclosed(MemoryCityLogs):
    """Logs whose broker is away."""

    async def close(self) -> None:
        await asyncio.Event().wait()


async def test_catching_up_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """With as many events as may wait the rest is left to the ticks: no log is read into memory whole."""
    monkeypatch.setattr(recovery, "WAITING_EVENTS", 10)
    world = MemoryCity()
    owner = await world.owner()
    await world.online({1: (0, 1)})
    await world.step(owner)
    logs = OneByOne(world.log, CITY)
    for number in range(50):
        await world.open_order(f"o-{number}")
    city = await recovery.load_city(ownership(CITY, 2, PARTITION), world.decisions, logs, world.clock, world.params)
    runner = CityRunner(city, logs, owner.dependencies, lambda: True)
    await recovery.catch_up(city, logs, runner.ingest.take, owner.dependencies.log)
    assert len(city.ingested.waiting) == 10


class OneByOne(MemoryCityLogs):
    """Logs that hand out one event at a time, as a broker does with a few thousand."""

    async def read(self, timeout_s: float) -> Read:
        before = self._opened()
        whole = await super().read(timeout_s)
        self._cut = replace(whole.cut, events_offset=min(before.events_offset + 1, whole.cut.events_offset))
        return replace(whole, events=whole.events[:1], cut=self._cut)
