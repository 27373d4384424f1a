"""Offers and routes reach riders' outboxes: at Hello, by polls, by wakes; again until seen; never from an old epoch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest_asyncio

from tests.unit.tracking.test_edge import until
from tests.unit.tracking.worlds import NOW_MS, EdgeWorld
from tracking.adapters.memory import MemoryWakes
from tracking.engine.down_queue import Retracted
from tracking.engine.session import RiderSession
from tracking.model import Offer, RiderId, Route, Tasks, Wake

ANA = RiderId(1)


def offer(offer_id: str, lives_ms: int = 30_000) -> Offer:
    """A live offer."""
    return Offer(offer_id, NOW_MS + lives_ms, offer_id.encode())


@dataclass(slots=True)
class DeskWorld(EdgeWorld):
    """An edge whose desk is woken by hand."""

    wakes: MemoryWakes = field(default_factory=MemoryWakes)

    async def wake(self, *riders: RiderId) -> None:
        """A wake of the city."""
        await self.wakes.queue.put(Wake("la-serena", riders))

    async def heard(self, session: RiderSession) -> list[object]:
        """Messages that the rider is sent next."""
        await until(lambda: session.down_queue.pending)
        return list(session.down_queue.take())


@pytest_asyncio.fixture
async def world() -> AsyncIterator[DeskWorld]:
    """Its wakes are listened to."""
    made = DeskWorld()
    listening = asyncio.create_task(made.edge.task_sync.run_wakes(made.wakes))
    yield made
    listening.cancel()
    made.edge.stop()


async def test_hello_brings_offers_and_route(world: DeskWorld) -> None:
    """The Welcome holds what is open for the rider."""
    world.offers.open[ANA] = (offer("o-1"),)
    world.offers.routes[ANA] = Tasks(route=Route(7, b"route"))
    tasks = await world.edge.task_sync.welcome(world.rider(ANA))
    assert tasks == Tasks((offer("o-1"),), Route(7, b"route"))


async def test_a_wake_brings_an_offer_at_once(world: DeskWorld) -> None:
    """An offer made after Hello is sent on the wake that names the rider."""
    ana = world.rider(ANA)
    await world.edge.task_sync.welcome(ana)
    world.offers.open[ANA] = (offer("o-1"),)
    await world.wake(ANA)
    assert await world.heard(ana) == [offer("o-1")]


async def test_an_offer_is_sent_again_until_it_is_seen(world: DeskWorld) -> None:
    """A second later it is sent again; after OfferSeen it is not."""
    ana = world.rider(ANA)
    await world.edge.task_sync.welcome(ana)
    world.offers.open[ANA] = (offer("o-1"),)
    await world.wake()
    assert await world.heard(ana) == [offer("o-1")]
    world.clock.advance(1_000)
    await world.wake()
    assert await world.heard(ana) == [offer("o-1")]
    ana.offers.seen("o-1")
    world.clock.advance(1_000)
    world.offers.open[ANA] = (offer("o-1"), offer("o-2"))
    await world.wake()
    assert await world.heard(ana) == [offer("o-2")]


async def test_offers_that_are_gone_are_retracted(world: DeskWorld) -> None:
    """An offer that vanished is told as retracted, or expired when its time is over; an answered one silently ends."""
    ana = world.rider(ANA)
    await world.edge.task_sync.welcome(ana)
    world.offers.open[ANA] = (offer("soon", 100), offer("late"), offer("mine"))
    await world.wake()
    assert len(await world.heard(ana)) == 3
    ana.offers.answered("mine")
    world.clock.advance(200)
    world.offers.open[ANA] = ()
    await world.wake()
    assert await world.heard(ana) == [Retracted("soon", "expired"), Retracted("late", "retracted")]


async def test_a_route_is_sent_when_it_is_newer(world: DeskWorld) -> None:
    """The same version is not sent twice, a greater one is; a new owner's is whatever its version."""
    ana = world.rider(ANA)
    world.offers.routes[ANA] = Tasks(route=Route(7, b"7"))
    await world.edge.task_sync.welcome(ana)
    await world.wake(ANA)
    world.offers.routes[ANA] = Tasks(route=Route(8, b"8"))
    await world.wake(ANA)
    assert await world.heard(ana) == [Route(8, b"8")]
    world.offers.epoch, world.offers.routes[ANA] = 2, Tasks(route=Route(3, b"3"))
    await world.wake(ANA)
    assert await world.heard(ana) == [Route(3, b"3")]


async def test_an_old_epoch_is_not_believed(world: DeskWorld) -> None:
    """What a former owner says after the new one spoke is dropped."""
    ana = world.rider(ANA)
    world.offers.epoch = 5
    await world.edge.task_sync.welcome(ana)
    world.offers.epoch, world.offers.open[ANA] = 4, (offer("stale"),)
    await world.wake(ANA)
    await until(lambda: world.wakes.queue.empty())
    world.offers.epoch, world.offers.open[ANA] = 5, (offer("fresh"),)
    await world.wake(ANA)
    assert await world.heard(ana) == [offer("fresh")]


async def test_an_absent_owner_delays_nobody_for_long(world: DeskWorld) -> None:
    """The Welcome comes without tasks while the owner is away; they follow when it is back."""
    world.offers.away = True
    ana = world.rider(ANA)
    assert await world.edge.task_sync.welcome(ana) == Tasks()
    world.offers.away, world.offers.open[ANA] = False, (offer("o-1"),)
    await world.wake()
    assert await world.heard(ana) == [offer("o-1")]


async def test_who_left_is_told_nothing(world: DeskWorld) -> None:
    """A closed session leaves the desk; the rider's next one gets the offer anew."""
    world.offers.open[ANA] = (offer("o-1"),)
    ana = world.rider(ANA)
    await world.edge.task_sync.welcome(ana)
    world.edge.close(ana)
    again = world.rider(ANA)
    assert (await world.edge.task_sync.welcome(again)).offers == (offer("o-1"),)
    assert not ana.down_queue.pending
