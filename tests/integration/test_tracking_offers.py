"""Offers and routes: from a city's owner over the edge to the rider's app, and the answer into the log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc.aio
import structlog
from redis.asyncio import Redis

from deploy.stack.stack import LocalStack
from node import postgres
from proto.dispatch.v1 import dispatch_pb2, dispatch_pb2_grpc
from proto.dispatch.v1.live_pb2 import Wake
from proto.tracking.v1 import rider_link_pb2 as link
from shard_router.adapters.postgres import PostgresRouterStore
from shard_router.leases.host import CityHost
from shard_router.leases.reconcile import Member
from shard_router.leases.shard_lease import ShardLease
from shard_router.leases.slots import Slots
from shard_router.topology import Ownership
from tests.integration.tracking_world import CITY, TrackingWorld, tracking_world
from tracking.client import Connected, EdgeLink, Event, Offer, OfferRetracted, RiderClient, Route


@dataclass(slots=True)
class Owner(dispatch_pb2_grpc.DispatchServicer, CityHost):
    """A shard that owns the city and offers what a test puts in."""

    offers: dict[int, list[str]] = field(default_factory=dict)
    routes: dict[int, int] = field(default_factory=dict)
    expires_ms: int = 0
    owned: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, ownership: Ownership) -> None:
        if ownership.city == CITY:
            self.owned.set()

    async def drop(self, city: str, epoch: int, reason: str) -> None:
        """Nothing to end."""

    async def OpenOffers(self, request: Any, context: Any) -> dispatch_pb2.OpenOffersResponse:  # noqa: N802
        offers = [
            dispatch_pb2.RiderOffer(rider_id=rider, offer=self._offer(one))
            for rider, ids in self.offers.items()
            for one in ids
        ]
        return dispatch_pb2.OpenOffersResponse(epoch=1, offers=offers)

    async def RiderTasks(self, request: Any, context: Any) -> dispatch_pb2.RiderTasksResponse:  # noqa: N802
        tasks = []
        for rider in request.rider_ids:
            route = link.Route(version=self.routes[rider]) if rider in self.routes else None
            offers = [self._offer(one) for one in self.offers.get(rider, ())]
            tasks.append(dispatch_pb2.RiderTasks(rider_id=rider, offers=offers, route=route))
        return dispatch_pb2.RiderTasksResponse(epoch=1, tasks=tasks)

    def _offer(self, offer_id: str) -> link.Offer:
        stop = link.Stop(kind=link.STOP_KIND_PICKUP, order_ids=["order-1"], eta_ms=5)
        return link.Offer(offer_id=offer_id, order_ids=["order-1"], stops=[stop], expires_ms=self.expires_ms, epoch=1)


@asynccontextmanager
async def owning(world: TrackingWorld, database: str) -> AsyncIterator[Owner]:
    """An owner of the city, found by everybody through the router."""
    # The calls it does not have answer UNIMPLEMENTED.
    owner = Owner(expires_ms=world.clock.domain_ms() + 600_000)  # type: ignore[abstract]
    server = grpc.aio.server()
    dispatch_pb2_grpc.add_DispatchServicer_to_server(owner, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    pool = await postgres.connect(database)
    me, log = Member("shard-1", f"127.0.0.1:{port}"), structlog.get_logger()
    lease = ShardLease(PostgresRouterStore(pool), me, owner, Slots(world.clock), log)
    running = asyncio.create_task(lease.run())
    try:
        await asyncio.wait_for(owner.owned.wait(), 20)
        yield owner
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await pool.close()
        await server.stop(0)


class App:
    """A rider who looks at the screen."""

    def __init__(self) -> None:
        self.seen: list[Event] = []
        self._news = asyncio.Event()

    def hear(self, event: Event) -> None:
        self.seen.append(event)
        self._news.set()

    async def until(self, true: Callable[[list[Event]], bool]) -> None:
        """Returns when what was heard makes the condition true."""
        async with asyncio.timeout(20):
            while not true(self.seen):
                self._news.clear()
                await self._news.wait()

    def offers(self) -> list[str]:
        return [event.offer_id for event in self.seen if isinstance(event, Offer)]


async def test_an_offer_goes_to_the_rider_and_the_answer_to_the_log(stack: LocalStack, fresh_database: str) -> None:
    """Offered at Hello, then on a wake; told once to the app; answered for the log; what vanishes is retracted."""
    async with (
        tracking_world(stack, fresh_database) as world,
        owning(world, fresh_database) as owner,
        world.edge("edge-1"),
        EdgeLink(world.address) as connection,
        Redis.from_url(stack.env["FORNO_REDIS_URL"]) as redis,
    ):
        app, me = App(), world.first_rider
        owner.offers[me], owner.routes[me] = ["at-hello"], 1
        async with RiderClient(connection, world.token(0), world.clock, on_event=app.hear) as rider:
            await app.until(lambda seen: "at-hello" in app.offers() and Route((), 1) in seen)
            owner.offers[me], owner.routes[me] = ["at-hello", "by-wake"], 2
            await redis.publish(f"wake:{CITY}", Wake(city=CITY, rider_ids=[me]).SerializeToString())
            await app.until(lambda seen: "by-wake" in app.offers() and Route((), 2) in seen)
            rider.reply("by-wake", accepted=True)
            await rider.drain(20)
            owner.offers[me] = []
            await app.until(lambda seen: OfferRetracted("at-hello", "retracted") in seen)
        assert app.offers() == ["at-hello", "by-wake"]
        assert sum(isinstance(event, Connected) for event in app.seen) == 1
        offer = next(event for event in app.seen if isinstance(event, Offer))
        assert (offer.order_ids, offer.stops[0].eta_ms) == (("order-1",), 5)
        ((session, seq),) = rider.journal.acked_events
        replied = (await world.events())[f"0-{session}-{seq}"].rider_replied
        assert (replied.reply.offer_id, replied.reply.accepted) == ("by-wake", True)
        assert (replied.rider_id, replied.session) == (me, session)
