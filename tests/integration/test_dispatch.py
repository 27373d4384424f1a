"""Shards as processes on real servers: orders carried from offer to door, crashes in between, moves, zombies."""

from __future__ import annotations

import asyncpg
import pytest

from deploy.stack.stack import LocalStack
from proto.dispatch.v1 import dispatch_pb2 as pb
from proto.tracking.v1 import rider_link_pb2 as link
from tests.integration.dispatch_world import DispatchWorld, dispatch_world


async def deliver(world: DispatchWorld, city: str, order_id: str) -> int:
    """Carries an order that was opened to its door, as its rider would say it; the rider's number."""
    offer = await world.offer_for(city, order_id)
    await world.reply(city, offer, accepted=True)
    await world.track(city, order_id, pb.ORDER_STATE_ASSIGNED)
    rider = offer.rider_id - world.first_rider
    for status, state in (
        (link.RIDER_STATUS_ARRIVED, pb.ORDER_STATE_ASSIGNED),
        (link.RIDER_STATUS_PICKED_UP, pb.ORDER_STATE_PICKED_UP),
        (link.RIDER_STATUS_DELIVERED, pb.ORDER_STATE_DELIVERED),
    ):
        await world.status(city, rider, status, order_id)
        await world.track(city, order_id, state)
    return rider


async def test_an_order_from_offer_to_door(stack: LocalStack, fresh_database: str) -> None:
    """The nearer of two riders is asked, accepts and delivers; every step is told in order, and can be explained."""
    async with dispatch_world(stack, fresh_database) as world, world.shard("shard-a"):
        (city,) = world.cities
        for rider in (1, 2):
            await world.status(city, rider, link.RIDER_STATUS_ONLINE, capacity=2)
        await world.fixes(city, {1: (0, 1), 2: (0, 30)})
        order_id = await world.open_order(city, 1, restaurant=(0, 0), door=(10, 0))
        assert await deliver(world, city, order_id) == 1
        results = await world.results(order_id, 3)
        assert [(r.version, r.WhichOneof("kind")) for r in results] == [
            (1, "assigned"),
            (2, "picked_up"),
            (3, "delivered"),
        ]
        track = await world.track(city, order_id)
        assert [e.state for e in track.events] == [
            pb.ORDER_STATE_OPEN,
            pb.ORDER_STATE_OFFERED,
            pb.ORDER_STATE_ASSIGNED,
            pb.ORDER_STATE_PICKED_UP,
            pb.ORDER_STATE_DELIVERED,
        ]
        explained = await world.ask(city, lambda s: s.Explain(pb.ExplainRequest(city=city, order_id=order_id)))
        assert len(explained.records_json) == 1


async def test_a_killed_shard_goes_on(stack: LocalStack, fresh_database: str) -> None:
    """Killed between acceptance and pickup, the shard comes back with the same plan; nobody else is asked."""
    async with dispatch_world(stack, fresh_database) as world:
        (city,) = world.cities
        async with world.shard("shard-a") as shard:
            for rider in (1, 2):
                await world.status(city, rider, link.RIDER_STATUS_ONLINE)
            await world.fixes(city, {1: (0, 1), 2: (0, 30)})
            order_id = await world.open_order(city, 1, restaurant=(0, 0), door=(10, 0))
            offer = await world.offer_for(city, order_id)
            await world.reply(city, offer, accepted=True)
            await world.track(city, order_id, pb.ORDER_STATE_ASSIGNED)
            await shard.kill()
        rider = offer.rider_id - world.first_rider
        # Said while nobody listens: it waits in the log.
        await world.status(city, rider, link.RIDER_STATUS_PICKED_UP, order_id)
        async with world.shard("shard-a"):
            track = await world.track(city, order_id, pb.ORDER_STATE_PICKED_UP)
            assert track.rider_id == offer.rider_id
            assert track.rider_ts_ms > 0
            await world.status(city, rider, link.RIDER_STATUS_DELIVERED, order_id)
            await world.track(city, order_id, pb.ORDER_STATE_DELIVERED)
            assert {r.version for r in await world.results(order_id, 3)} == {1, 2, 3}
        doubles = "select count(*) from dispatch.holdings where order_id = $1"
        assert await world.pool.fetchval(doubles, order_id) == 1


async def test_two_shards_two_cities(stack: LocalStack, fresh_database: str) -> None:
    """Each city has an owner and is dispatched by it."""
    async with (
        dispatch_world(stack, fresh_database, cities=2) as world,
        world.shard("shard-a"),
        world.shard("shard-b"),
    ):
        for number, city in enumerate(world.cities):
            await world.status(city, number, link.RIDER_STATUS_ONLINE)
            await world.fixes(city, {number: (0, 1)})
            await deliver(world, city, await world.open_order(city, number, restaurant=(0, 0), door=(5, 5)))


async def test_a_zombie_commits_nothing(stack: LocalStack, fresh_database: str) -> None:
    """An owner that does not know of its end is refused by the database."""
    async with dispatch_world(stack, fresh_database) as world, world.shard("shard-a"):
        (city,) = world.cities
        await world.owner(city)
        with pytest.raises(asyncpg.PostgresError) as refused:
            await world.pool.execute("select router.hold($1, 'shard-a', 0)", city)
        assert refused.value.sqlstate == "FR001"
