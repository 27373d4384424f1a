"""A city at work on memory adapters: what is true is what was committed, whoever owns it."""

from __future__ import annotations

import pytest

from dispatch.engine.model import OrderId, OrderStatus
from dispatch.shard.errors import OutcomeUnknown
from dispatch.shard.ports import TickCommit
from node.errors import Retryable
from proto.dispatch.v1.dispatch_event_pb2 import DispatchEvent
from proto.tracking.v1 import rider_link_pb2 as link
from shard_router.fence import OwnershipLost
from tests.unit.dispatch.shard.memory_city import CITY, MemoryCity, status_of


async def results(world: MemoryCity) -> list[tuple[str, int, str | None]]:
    """Order, version and kind of the results that wait to be sent."""
    events = [DispatchEvent.FromString(message.payload) for message in world.decisions.outbox_of(CITY).unsent]
    return [(e.order_id, e.version, e.WhichOneof("kind")) for e in events]


@pytest.fixture
async def two_riders_one_order() -> MemoryCity:
    """Rider 1 next to the restaurant, rider 2 far away, an order that is ready."""
    world = MemoryCity()
    await world.online({1: (0, 1), 2: (0, 40)})
    await world.open_order("o-1")
    return world


async def test_an_order_from_offer_to_door(two_riders_one_order: MemoryCity) -> None:
    """The nearer rider is asked, accepts, arrives, picks up and delivers; the results are told in order."""
    world = two_riders_one_order
    runner = await world.owner()
    await world.step(runner)
    assert status_of(runner, "o-1") is OrderStatus.OFFERED
    assert await world.reply(runner, accepted=True) == 1
    await world.step(runner)
    assert status_of(runner, "o-1") is OrderStatus.ASSIGNED
    for status in (link.RIDER_STATUS_ARRIVED, link.RIDER_STATUS_PICKED_UP, link.RIDER_STATUS_DELIVERED):
        await world.status(1, status, "o-1")
        await world.step(runner)
    assert status_of(runner, "o-1") is None
    assert await results(world) == [("o-1", 1, "assigned"), ("o-1", 2, "picked_up"), ("o-1", 3, "delivered")]
    assert runner.city.counters.orders_delivered == 1
    assert runner.city.committed.holdings.live == {}


async def test_a_declined_order_goes_to_another(two_riders_one_order: MemoryCity) -> None:
    """The one who declined is not asked again soon."""
    world = two_riders_one_order
    runner = await world.owner()
    await world.step(runner)
    assert await world.reply(runner, accepted=False) == 1
    await world.step(runner)
    (offer,) = runner.city.state.offers.values()
    assert offer.rider_id == 2


async def test_a_new_owner_is_where_the_old_one_was(two_riders_one_order: MemoryCity) -> None:
    """State, holdings, tracks and positions of a new owner equal those of the one that went."""
    world = two_riders_one_order
    old = await world.owner()
    await world.step(old)
    await world.reply(old, accepted=True)
    await world.step(old)
    new = await world.owner(epoch=2)
    assert new.city.state == old.city.state
    assert new.city.committed.holdings == old.city.committed.holdings
    assert new.city.committed.memory.tracks == old.city.committed.memory.tracks
    assert new.city.committed.tick == old.city.committed.tick
    assert new.city.ingested.read == old.city.ingested.read
    before, after = (r.city.ingested.positions.changed_since(0) for r in (old, new))
    assert sorted(before.rider_id.tolist()) == sorted(after.rider_id.tolist())


async def test_ranges_of_owners_tile_the_log(two_riders_one_order: MemoryCity) -> None:
    """The next epoch's range begins where the last one's ends."""
    world = two_riders_one_order
    old = await world.owner()
    await world.step(old)
    await old.end()
    await world.fix({1: (0, 2)})
    new = await world.owner(epoch=2)
    await world.step(new)
    await new.end()
    (first, second) = sorted(world.decisions.ranges.items(), key=lambda item: item[0][1])
    assert (first[0][2].pings_offset, first[0][2].events_offset) == (0, 0)
    assert second[0][2] == first[1]
    assert second[1].pings_offset == first[1].pings_offset + 1


async def test_what_was_said_while_nobody_owned_the_city(two_riders_one_order: MemoryCity) -> None:
    """A reply that came between two owners counts."""
    world = two_riders_one_order
    old = await world.owner()
    await world.step(old)
    await world.reply(old, accepted=True)
    new = await world.owner(epoch=2)
    await world.step(new)
    assert status_of(new, "o-1") is OrderStatus.ASSIGNED


async def test_a_repeated_event_changes_nothing(two_riders_one_order: MemoryCity) -> None:
    """Online, offline, and the first one again late: the rider stays offline; for the next owner too."""
    world = two_riders_one_order
    runner = await world.owner()
    await world.status(7, link.RIDER_STATUS_ONLINE, event_id="7-1-1")
    await world.status(7, link.RIDER_STATUS_OFFLINE)
    await world.step(runner)
    await world.status(7, link.RIDER_STATUS_ONLINE, event_id="7-1-1")
    await world.step(runner)
    assert not runner.city.state.riders[7].online  # type: ignore[index]
    assert runner.city.counters.events_repeated == 1
    await runner.end()
    await world.status(7, link.RIDER_STATUS_ONLINE, event_id="7-1-1")
    new = await world.owner(epoch=2)
    await world.step(new)
    assert not new.city.state.riders[7].online  # type: ignore[index]


async def test_a_lost_city_decides_nothing(two_riders_one_order: MemoryCity) -> None:
    """Without the lease a tick ends before its commit, and memory stays as it was."""
    world = two_riders_one_order
    runner = await world.owner()
    await world.read(runner)
    world.holds = False
    with pytest.raises(OwnershipLost):
        await runner.ticker.tick()
    assert runner.city.state.orders == {}
    assert len(runner.city.ingested.waiting) == 3
    world.holds = True
    await world.step(runner)
    assert status_of(runner, "o-1") is OrderStatus.OFFERED


class Flaky:
    """Stands between the ticker and its log: the connection is lost at the commit, before or after it took effect."""

    def __init__(self, world: MemoryCity, *, after: bool) -> None:
        self.inner = world.decisions.commit
        self.after = after
        self.calls = 0

    async def commit(self, tick: TickCommit) -> None:
        self.calls += 1
        if self.calls > 1 or self.after:
            await self.inner(tick)
        if self.calls == 1:
            raise OutcomeUnknown("the connection was lost")


async def test_an_unknown_outcome_that_was_a_commit(
    two_riders_one_order: MemoryCity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked by (city, tick), the database says yes: memory follows, nothing is decided twice."""
    world = two_riders_one_order
    monkeypatch.setattr(world.decisions, "commit", Flaky(world, after=True).commit)
    runner = await world.owner()
    await world.step(runner)
    assert status_of(runner, "o-1") is OrderStatus.OFFERED
    assert runner.city.committed.tick == 1


async def test_an_unknown_outcome_that_was_none(
    two_riders_one_order: MemoryCity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database says no: memory is as before, the inputs wait, and the next tick takes them."""
    world = two_riders_one_order
    monkeypatch.setattr(world.decisions, "commit", Flaky(world, after=False).commit)
    runner = await world.owner()
    with pytest.raises(Retryable):
        await world.step(runner)
    assert runner.city.committed.tick == 0
    assert runner.city.state.orders == {}
    await world.step(runner)
    assert status_of(runner, "o-1") is OrderStatus.OFFERED


async def test_a_tick_with_nothing_new_writes_nothing(two_riders_one_order: MemoryCity) -> None:
    """The tick's number stands still; the cut is stored now and then."""
    world = two_riders_one_order
    runner = await world.owner()
    await world.step(runner)
    ticks = runner.city.committed.tick
    await world.fix({1: (0, 1)})
    await world.step(runner, 5000)
    assert runner.city.committed.tick == ticks
    stored = await world.decisions.load(runner.city.ownership, 0)
    assert stored.cut == runner.city.ingested.read


async def test_a_replaced_log_is_read_from_its_beginning(two_riders_one_order: MemoryCity) -> None:
    """Orders opened again by the outbox of orders change nothing; new ones are heard."""
    world = two_riders_one_order
    old = await world.owner()
    await world.step(old)
    world.log.replace_by("memory-2")
    await world.open_order("o-1", event_id="again")
    await world.open_order("o-2")
    new = await world.owner(epoch=2)
    await world.step(new)
    assert new.city.ingested.read.incarnation == "memory-2"
    assert set(new.city.state.orders) == {"o-1", "o-2"}
    assert status_of(new, "o-1") is OrderStatus.OFFERED


async def test_an_order_forgotten_long_ago_is_not_opened_again(two_riders_one_order: MemoryCity) -> None:
    """Memory forgets ended orders after a while; the database does not."""
    world = two_riders_one_order
    runner = await world.owner()
    await world.step(runner)
    await world.reply(runner, accepted=True)
    await world.step(runner)
    for status in (link.RIDER_STATUS_PICKED_UP, link.RIDER_STATUS_DELIVERED):
        await world.status(1, status, "o-1")
        await world.step(runner)
    opened = world.log.events[3][2]
    forget_ms = round(world.params.offers.forget_s * 1000)
    await world.step(runner, forget_ms + 1000)
    assert OrderId("o-1") not in runner.city.state.ended
    runner.city.ingested.seen = type(runner.city.ingested.seen)()
    await world.log.append_event(3, opened)
    await world.step(runner)
    assert status_of(runner, "o-1") is None


async def test_orders_of_one_pickup_are_taken_together() -> None:
    """An app says order by order what it picked up; the second is not given back meanwhile."""
    world = MemoryCity()
    await world.online({1: (0, 1)})
    runner = await world.owner()
    await world.open_order("o-1", (10, 0))
    await world.open_order("o-2", (11, 0))
    await world.step(runner)
    (offer,) = runner.city.state.offers.values()
    assert len(offer.order_ids) == 2
    await world.reply(runner, accepted=True)
    await world.status(1, link.RIDER_STATUS_PICKED_UP, "o-1")
    await world.step(runner)
    await world.status(1, link.RIDER_STATUS_PICKED_UP, "o-2")
    await world.step(runner)
    assert status_of(runner, "o-1") is OrderStatus.PICKED_UP
    assert status_of(runner, "o-2") is OrderStatus.PICKED_UP


async def test_live_positions_are_told_for_carried_orders_only(two_riders_one_order: MemoryCity) -> None:
    """A fix of the rider with an order is published at once, with epoch and ETA; the other rider's is not."""
    world = two_riders_one_order
    runner = await world.owner()
    await world.step(runner)
    await world.reply(runner, accepted=True)
    await world.step(runner)
    await world.fix({1: (0, 0), 2: (0, 39)})
    await world.read(runner)
    waiting = runner.feed.waiting
    assert [(p.order_id, p.rider_id, p.picked_up) for p in waiting] == [("o-1", 1, False)]
    assert waiting[0].eta_ms > world.clock.domain_ms()


async def test_wakes_name_what_changed(two_riders_one_order: MemoryCity) -> None:
    """After each commit that changed something; with the epoch. No tick waits for them: they come together."""
    world = two_riders_one_order
    runner = await world.owner()
    await world.step(runner)
    await world.open_order("o-2")
    await world.step(runner)
    assert world.announcements.wakes == []
    await runner.wakes.publish()
    city, epoch, orders, riders = world.announcements.wakes[-1]
    assert (city, epoch, orders) == (CITY, 1, ["o-1", "o-2"])
    assert 1 in riders
