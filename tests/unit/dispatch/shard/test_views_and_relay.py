"""Views and the relay: paced, and good again after their stores were away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import cast

import numpy as np
import pytest
import structlog

from dispatch.engine.model import OrderId, OrderStatus, RiderId
from dispatch.logs.adapters.memory import MemoryCityLogs
from dispatch.logs.cut import Cut
from dispatch.metrics import VIEW_BEHIND_MS
from dispatch.shard import wakes
from dispatch.shard.adapters.memory import MemoryPositionsView
from dispatch.shard.views import Pace, ViewFollower
from dispatch.trails import trail_follower as trail_keeper
from dispatch.trails.adapters.memory import MemoryTrails
from dispatch.trails.trail_follower import TrailFollower
from node import retry
from node.clock import Clock, ManualClock
from node.errors import Retryable
from node.retry import Policy
from proto.dispatch.v1.dispatch_event_pb2 import DispatchEvent
from proto.fix_columns import FixColumns
from tests.unit.dispatch.shard.memory_city import CITY, PARTITION, STEP_E7, MemoryCity
from tests.unit.dispatch.shard.worlds import DOWNTOWN, NOON_MS, fixes, ownership


class AwayView(MemoryPositionsView):
    """A view whose store can be away."""

    away = False

    async def write(self, city: str, epoch: int, fixes: FixColumns) -> bool:
        if self.away:
            raise Retryable("away")
        return await super().write(city, epoch, fixes)

    async def remove(self, city: str, epoch: int, rider_ids: Sequence[int]) -> None:
        if self.away:
            raise Retryable("away")
        await super().remove(city, epoch, rider_ids)


#: Short pauses.
PAUSES = Policy(0.0001, 0.0002)


async def test_a_view_follows_the_index() -> None:
    """Moves are written, silent riders removed; what happened while the store was away is made good by one write."""
    world, view = MemoryCity(), AwayView()
    runner = await world.owner()
    follower = ViewFollower("test", view, runner.city, world.clock, Pace(0.5, 0.0, 1000), structlog.get_logger())
    await world.fix({1: (0, 0), 2: (0, 0)})
    await world.read(runner)
    await follower.write()
    assert set(view.shown) == {(CITY, 1), (CITY, 2)}
    view.away = True
    world.clock.advance(50_000)
    await world.fix({1: (1, 0)})
    await world.read(runner)
    with pytest.raises(Retryable):
        await follower.write()
    world.clock.advance(20_000)
    view.away = False
    await follower.write()
    assert set(view.shown) == {(CITY, 1)}
    assert view.shown[CITY, 1][1] == DOWNTOWN.lat_e7 + 10_000


async def test_a_view_that_was_lost_is_whole_again() -> None:
    """Redis begins anew, empty: who has been silent for half a minute is shown again, and not only who moves."""
    world, view = MemoryCity(), AwayView()
    runner = await world.owner()
    follower = ViewFollower("test", view, runner.city, world.clock, Pace(0.5, 1.0, 1000), structlog.get_logger())
    await world.fix({1: (0, 0), 2: (0, 0)})
    await world.read(runner)
    await follower.write()
    world.clock.advance(30_000)
    view.lose()
    await follower.write()
    assert set(view.shown) == {(CITY, 1), (CITY, 2)}, "nobody has moved"
    view.lose()
    await world.fix({1: (1, 0)})
    await world.read(runner)
    await follower.write()
    assert set(view.shown) == {(CITY, 1), (CITY, 2)}, "one has moved"


class TimedClock(ManualClock):
    """The city's time stands still, spans are real."""

    def monotonic_s(self) -> float:
        return time.monotonic()


class TimedView(MemoryPositionsView):
    """A view that notes how many riders each write had, when it began and when it ended."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.writes: list[tuple[int, float, float]] = []

    async def write(self, city: str, epoch: int, fixes: FixColumns) -> bool:
        began_s = self.clock.monotonic_s()
        kept = await super().write(city, epoch, fixes)
        while self.clock.monotonic_s() - began_s < 0.002:
            pass
        self.writes.append((len(fixes), began_s, self.clock.monotonic_s()))
        return kept


async def test_a_whole_city_is_written_in_parts_with_rests_between() -> None:
    """A new owner writes all riders: the store is left alone after each part, for a multiple of what the part took."""
    world = MemoryCity()
    clock = TimedClock(world.clock.domain_ms())
    view = TimedView(clock)
    runner = await world.owner()
    await world.fix(dict.fromkeys(range(1, 6), (0, 0)))
    await world.read(runner)
    follower = ViewFollower("timed", view, runner.city, clock, Pace(0.5, 3.0, 2), structlog.get_logger())
    await follower.write()
    assert [count for count, _, _ in view.writes] == [2, 2, 1]
    assert set(view.shown) == {(CITY, rider) for rider in range(1, 6)}
    for (_, began_s, ended_s), (_, next_s, _) in pairwise(view.writes):
        assert next_s - ended_s >= 2.9 * (ended_s - began_s)


class TornView(AwayView):
    """A store that dies in the middle of a write: what it answers afterwards looks as if nothing had been lost."""

    async def write(self, city: str, epoch: int, fixes: FixColumns) -> bool:
        if self.away and len(fixes):
            self.lose()
            await super(AwayView, self).write(city, epoch, fixes.take(np.arange(1)))
        return await super().write(city, epoch, fixes)


async def test_a_view_that_died_in_a_write_is_whole_again() -> None:
    """After a failure everybody is written, whatever the store says."""
    world, view = MemoryCity(), TornView()
    runner = await world.owner()
    follower = ViewFollower("test", view, runner.city, world.clock, Pace(0.5, 1.0, 1000), structlog.get_logger())
    await world.fix({1: (0, 0), 2: (0, 0), 3: (0, 0)})
    await world.read(runner)
    await follower.write()
    view.away = True
    await world.fix({1: (1, 0), 2: (1, 0)})
    await world.read(runner)
    with pytest.raises(Retryable):
        await follower.write()
    assert set(view.shown) == {(CITY, 1)}
    view.away = False
    await follower.write()
    assert set(view.shown) == {(CITY, 1), (CITY, 2), (CITY, 3)}


async def test_riders_whom_a_former_owner_left_are_removed() -> None:
    """A new owner finds riders in the view that were silent before it came: they go, the others stay."""
    world, view = MemoryCity(), AwayView()
    await view.write(CITY, 1, fixes({1: (0, 0), 2: (0, 0), 3: (0, 0)}))
    await view.write("milano", 1, fixes({3: (0, 0)}))
    await world.fix({2: (0, 0)})
    world.clock.advance(61_000)
    await world.fix({1: (0, 0)})
    runner = await world.owner(epoch=2)
    follower = ViewFollower("test", view, runner.city, world.clock, Pace(0.5, 0.0, 1000), structlog.get_logger())
    await follower.write()
    assert set(view.shown) == {(CITY, 1), ("milano", 3)}


async def test_results_survive_a_broker_that_is_away() -> None:
    """They wait in the outbox, and are published in order when it is back; a new log gets them again."""
    world = MemoryCity()
    await world.online({1: (0, 1)})
    await world.open_order("o-1")
    runner = await world.owner()
    await world.step(runner)
    await world.reply(runner, accepted=True)
    world.publisher.away = True
    await world.step(runner)
    with pytest.raises(Retryable):
        await runner.relay.send_all()
    world.publisher.away = False
    await runner.relay.send_all()
    await runner.relay.send_all()
    assert [DispatchEvent.FromString(message.payload).version for message in world.publisher.messages] == [1]
    world.publisher.name = "memory-2"
    await runner.relay.send_all()
    assert [DispatchEvent.FromString(message.payload).version for message in world.publisher.messages] == [1, 1]


async def test_trails_are_kept_in_pieces() -> None:
    """Two flushes into one minute make one trail."""
    world, store = MemoryCity(), MemoryTrails()
    runner = await world.owner()
    keeper = TrailFollower(ownership(CITY), runner.logs, store, world.clock, structlog.get_logger())
    for seq in (2, 1):
        keeper.take(fixes({1: (seq, 0)}, seq=seq, ts_ms=NOON_MS + seq))
        await keeper.flush()
    trail = await store.of_rider(CITY, 1, NOON_MS, NOON_MS + 10)
    assert trail.seq.tolist() == [1, 2]


async def test_wakes_that_wait_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """While nothing is published ids come together, up to so many; a publish begins anew."""
    monkeypatch.setattr(wakes, "WAITING_IDS", 3)
    world = MemoryCity()
    runner = await world.owner()
    for n in range(5):
        runner.wakes.changed([OrderId(f"o-{n}"), OrderId("o-0")], [RiderId(1)])
    await runner.wakes.publish()
    await runner.wakes.publish()
    assert [(orders, riders) for _, _, orders, riders in world.announcements.wakes] == [
        (["o-0", "o-1", "o-2"], [1]),
        ([], []),
    ]


class StuckView(MemoryPositionsView):
    """A store that takes a write and does not answer until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.free = asyncio.Event()
        self.asked = 0

    async def write(self, city: str, epoch: int, fixes: FixColumns) -> bool:
        self.asked += 1
        await self.free.wait()
        return await super().write(city, epoch, fixes)


class StuckTrails(MemoryTrails):
    """The same, of trails; and it fails the first time after it was let go."""

    def __init__(self) -> None:
        super().__init__()
        self.free = asyncio.Event()
        self.failed = False

    async def write(self, city: str, epoch: int, fixes: FixColumns) -> None:
        await self.free.wait()
        if not self.failed:
            self.failed = True
            raise Retryable("the connection died")
        await super().write(city, epoch, fixes)


async def test_stores_that_hang_hold_up_nobody_and_catch_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A view and the trails hang: fixes are applied and orders assigned all the same; let go, both have everything."""
    monkeypatch.setattr(trail_keeper, "FLUSH_EVERY_S", 0.0)
    monkeypatch.setattr(trail_keeper, "PATIENT", PAUSES)
    world, view, store = MemoryCity(), StuckView(), StuckTrails()
    await world.online({1: (0, 1)})
    runner = await world.owner()
    follower = ViewFollower("stuck", view, runner.city, world.clock, Pace(0.001, 0.0, 1000), structlog.get_logger())
    logs = MemoryCityLogs(world.log, CITY)
    keeper = TrailFollower(ownership(CITY, 1, PARTITION), logs, store, world.clock, structlog.get_logger())
    tasks = [asyncio.create_task(follower.run()), asyncio.create_task(keeper.run())]
    try:
        for n in range(1, 6):
            await world.fix({1: (0, n)})
            await asyncio.sleep(0)
            await world.read(runner)
        async with asyncio.timeout(5):
            while not view.asked:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        await world.open_order("o-1")
        await world.step(runner)
        await world.reply(runner, accepted=True)
        await world.step(runner)
        assert runner.city.state.orders[OrderId("o-1")].status is OrderStatus.ASSIGNED
        assert view.shown == {}
        view.free.set()
        store.free.set()
        newest = DOWNTOWN.lng_e7 + 5 * STEP_E7
        async with asyncio.timeout(10):
            while (CITY, 1) not in view.shown or view.shown[CITY, 1][2] != newest:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            while len(await store.of_rider(CITY, 1, NOON_MS, NOON_MS + 60_000)) < 5:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def test_the_lag_of_a_view_is_measured() -> None:
    """From the beginning of the round before to the end of this one; while the store is away it grows."""
    world, view = MemoryCity(), AwayView()
    runner = await world.owner()
    follower = ViewFollower("lagging", view, runner.city, world.clock, Pace(0.001, 0.0, 1000), structlog.get_logger())
    behind = VIEW_BEHIND_MS.labels(CITY, "lagging")
    view.away = True
    await world.fix({1: (0, 0)})
    await world.read(runner)
    world.clock.advance(7_000)
    task = asyncio.create_task(follower.run())
    try:
        async with asyncio.timeout(5):
            while behind._value.get() < 7_000:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            view.away = False
            while not view.shown:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            while behind._value.get() >= 7_000:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
    finally:
        task.cancel()
        await asyncio.wait([task])


class AwayTrails(MemoryTrails):
    """A store of trails that can be away."""

    away = False

    async def position(self, city: str) -> Cut | None:
        if self.away:
            raise Retryable("away")
        return await super().position(city)

    async def write(self, city: str, epoch: int, fixes: FixColumns) -> None:
        if self.away:
            raise Retryable("away")
        await super().write(city, epoch, fixes)

    async def advance(self, city: str, epoch: int, cut: Cut) -> None:
        if self.away:
            raise Retryable("away")
        await super().advance(city, epoch, cut)


@dataclass
class Warnings:
    """A log that keeps the pauses it was told of."""

    pauses: list[float] = field(default_factory=list)

    def warning(self, _: str, *, error: str, pause_s: float) -> None:
        self.pauses.append(pause_s)


async def test_the_lag_of_trails_is_told_while_their_store_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """It grows from the first try on; a flush that ends well ends it, and after the next failure the pause is short."""
    monkeypatch.setattr(trail_keeper, "FLUSH_EVERY_S", 0.0)
    monkeypatch.setattr(trail_keeper, "PATIENT", PAUSES)
    world, store, said = MemoryCity(), AwayTrails(), Warnings()
    monkeypatch.setattr(retry, "monotonic", world.clock.monotonic_s)  # else a slow try would begin the pauses anew
    logs, log = MemoryCityLogs(world.log, CITY), cast(structlog.stdlib.BoundLogger, said)
    keeper = TrailFollower(ownership(CITY, 1, PARTITION), logs, store, world.clock, log)
    behind = VIEW_BEHIND_MS.labels(CITY, "trail")

    async def until(true: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not true():  # noqa: ASYNC110
                await asyncio.sleep(0.001)

    store.away = True
    task = asyncio.create_task(keeper.run())
    try:
        world.clock.advance(7_000)
        await until(lambda: behind._value.get() == 7_000 and len(said.pauses) > 3)
        store.away = False
        await world.fix({1: (0, 0)})
        await until(lambda: behind._value.get() == 0)
        before = len(said.pauses)
        store.away = True
        world.clock.advance(1_000)
        await world.fix({1: (0, 1)})
        await until(lambda: len(said.pauses) > before + 3)
        world.clock.advance(30_000)
        await until(lambda: behind._value.get() == 30_000)
        for first, second in (said.pauses[:2], said.pauses[before : before + 2]):
            assert first <= 0.0001 < second <= 0.0002
        store.away = False
        await world.fix({1: (0, 2)})
        await until(lambda: behind._value.get() == 0)
        assert len(await store.of_rider(CITY, 1, NOON_MS, NOON_MS + 60_000)) == 3
    finally:
        task.cancel()
        await asyncio.wait([task])
