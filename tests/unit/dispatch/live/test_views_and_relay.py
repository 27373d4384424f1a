"""Views and the relay: paced, and good again after their stores were away."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import structlog

from dispatch.adapters.memory import MemoryPositionsView
from dispatch.adapters.memory_trails import MemoryTrails
from dispatch.index import FixColumns
from dispatch.live import wakes
from dispatch.live.trail_keeper import TrailKeeper
from dispatch.live.views import ViewFollower
from dispatch.model import OrderId, RiderId
from node.errors import Retryable
from proto.dispatch.v1.dispatch_event_pb2 import DispatchEvent
from tests.unit.dispatch.live.memory_city import CITY, MemoryCity
from tests.unit.dispatch.live.worlds import DOWNTOWN, NOON_MS, fixes, ownership


class AwayView(MemoryPositionsView):
    """A view whose store can be away."""

    away = False

    async def write(self, city: str, epoch: int, fixes: FixColumns) -> None:
        if self.away:
            raise Retryable("away")
        await super().write(city, epoch, fixes)

    async def remove(self, city: str, epoch: int, rider_ids: Sequence[int]) -> None:
        if self.away:
            raise Retryable("away")
        await super().remove(city, epoch, rider_ids)


async def test_a_view_follows_the_index() -> None:
    """Moves are written, silent riders removed; what happened while the store was away is made good by one write."""
    world, view = MemoryCity(), AwayView()
    runner = await world.owner()
    follower = ViewFollower("test", view, runner.city, world.clock, 0.5, structlog.get_logger())
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


async def test_riders_whom_a_former_owner_left_are_removed() -> None:
    """A new owner finds riders in the view that were silent before it came: they go, the others stay."""
    world, view = MemoryCity(), AwayView()
    await view.write(CITY, 1, fixes({1: (0, 0), 2: (0, 0), 3: (0, 0)}))
    await view.write("milano", 1, fixes({3: (0, 0)}))
    await world.fix({2: (0, 0)})
    world.clock.advance(61_000)
    await world.fix({1: (0, 0)})
    runner = await world.owner(epoch=2)
    follower = ViewFollower("test", view, runner.city, world.clock, 0.5, structlog.get_logger())
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
    world.topic.away = True
    await world.step(runner)
    with pytest.raises(Retryable):
        await runner.relay.publish_all()
    world.topic.away = False
    await runner.relay.publish_all()
    await runner.relay.publish_all()
    assert [DispatchEvent.FromString(letter.payload).version for letter in world.topic.letters] == [1]
    world.topic.name = "memory-2"
    await runner.relay.publish_all()
    assert [DispatchEvent.FromString(letter.payload).version for letter in world.topic.letters] == [1, 1]


async def test_trails_are_kept_in_pieces() -> None:
    """Two flushes into one minute make one trail."""
    world, store = MemoryCity(), MemoryTrails()
    runner = await world.owner()
    keeper = TrailKeeper(ownership(CITY), runner.logs, store, world.clock, structlog.get_logger())
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
