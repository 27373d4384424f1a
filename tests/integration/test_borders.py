"""A rider of one city carries an order of its neighbour, over two shards, and comes home; owners may die meanwhile."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.stack.stack import LocalStack
from proto.dispatch.v1 import dispatch_pb2 as pb
from proto.topics import CITY_PARTITIONS
from proto.tracking.v1 import rider_link_pb2 as link
from shard_router.topology import CityEntry, CityMap
from tests.integration.dispatch_world import LAT_E7, LNG_E7, DispatchWorld, ShardProcess, dispatch_world

HOME, BORROWER = "coquimbo", "la-serena"
#: The names are given by the ground, so two tests must not share a partition of the stack's log.
PARTITIONS = random.SystemRandom().sample(range(CITY_PARTITIONS // 2, CITY_PARTITIONS), 6)
#: Steps north of downtown La Serena; the border with Coquimbo lies at -46.
SOUTH_OF_BORDER, NORTH_OF_BORDER = (-50, 0), (-44, 0)


@asynccontextmanager
async def neighbours(
    stack: LocalStack, database: str, folder: Path
) -> AsyncIterator[tuple[DispatchWorld, dict[str, ShardProcess]]]:
    """Coquimbo and La Serena, each on a shard of its own, and a router; by shard id."""
    cities = {HOME: PARTITIONS.pop(), BORROWER: PARTITIONS.pop()}
    params = folder / "borders.json"
    params.write_text(
        json.dumps(
            {
                "offers": {"timeout_s": 600},
                "candidates": {"max_age_s": 3600},
                "service": {"pickup_s": 2.0, "dropoff_s": 2.0},
                "loans": {"idle_s": 2.0},
            }
        )
    )
    async with dispatch_world(stack, database, folder, cities=0) as empty:
        world = replace(empty, cities=cities, env={**empty.env, "FORNO_PARAMS_FILE": str(params)})
        entries = [CityEntry(name, name, n, "America/Santiago", "CLP", LAT_E7, LNG_E7) for name, n in cities.items()]
        await world.store.ensure_cities(entries)
        async with world.router() as router, AsyncExitStack() as running:
            names = ("shard-0", "shard-1")
            starting = (running.enter_async_context(world.shard(n, FORNO_ROUTER_ADDRESS=router)) for n in names)
            shards = dict(zip(names, await asyncio.gather(*starting), strict=True))
            owner = await asyncio.gather(*(world.owner(city) for city in cities))
            if owner[0] == owner[1]:
                await world.store.request_move(BORROWER, _other(await world.store.read_map()), "test")
                await world.owner(BORROWER, _other(await world.store.read_map()))
            yield world, shards


def _other(map_: CityMap) -> str:
    """The shard that does not own the home city."""
    return next(shard for shard in map_.shards if shard != map_.cities[HOME].owner)


async def offered_at_home(world: DispatchWorld, order_id: str) -> pb.RiderOffer:
    """The neighbour's offer, as the home city's owner tells the rider's edge."""
    return await world.offer_for(HOME, order_id)


async def loans(world: DispatchWorld) -> list[tuple[str, str, bool]]:
    """Every loan: home, borrower, returned."""
    rows = await world.pool.fetch("select home, borrower, returned from dispatch.loans")
    return [tuple(row) for row in rows]


async def back_home(world: DispatchWorld) -> None:
    """Waits until the rider's own city has it back, by its own word."""
    query = "select body->>'loan' from dispatch.riders where city = $1 and rider_id = $2"
    async with asyncio.timeout(60):
        while True:
            if await world.pool.fetchval(query, HOME, world.rider(1)) is None:
                return
            await asyncio.sleep(0.1)


async def test_a_neighbours_rider_carries_an_order_and_comes_home(
    stack: LocalStack, fresh_database: str, tmp_path: Path
) -> None:
    """Borrowed through the home city's log, told of the offer by its own city, and planned with at home again."""
    async with neighbours(stack, fresh_database, tmp_path) as (world, _):
        await world.status(HOME, 1, link.RIDER_STATUS_ONLINE, capacity=2)
        await world.fixes(HOME, {1: SOUTH_OF_BORDER})
        order_id = await world.open_order(BORROWER, 1, restaurant=NORTH_OF_BORDER, door=(-40, 0))

        offer = await offered_at_home(world, order_id)
        assert offer.rider_id == world.rider(1)
        assert await loans(world) == [(HOME, BORROWER, False)]
        await world.reply(HOME, offer, accepted=True)
        await world.track(BORROWER, order_id, pb.ORDER_STATE_ASSIGNED)
        request = pb.RiderTasksRequest(city=HOME, rider_ids=[world.rider(1)])
        tasks = (await world.ask(HOME, lambda stub: stub.RiderTasks(request))).tasks
        assert [list(stop.order_ids) for stop in tasks[0].route.stops] == [[order_id], [order_id]]

        await world.status(HOME, 1, link.RIDER_STATUS_PICKED_UP, order_id)
        await world.track(BORROWER, order_id, pb.ORDER_STATE_PICKED_UP)
        await world.fixes(HOME, {1: (-42, 0)})
        await seen_in(world, BORROWER, order_id)
        await world.status(HOME, 1, link.RIDER_STATUS_DELIVERED, order_id)
        await world.track(BORROWER, order_id, pb.ORDER_STATE_DELIVERED)
        explained = await world.ask(
            BORROWER, lambda stub: stub.Explain(pb.ExplainRequest(city=BORROWER, order_id=order_id))
        )
        assert json.loads(explained.records_json[0])["borrowed_from"] == HOME

        await back_home(world)
        await world.fixes(HOME, {1: SOUTH_OF_BORDER})
        own = await world.open_order(HOME, 2, restaurant=(-52, 0), door=(-54, 0))
        assert (await world.offer_for(HOME, own)).rider_id == world.rider(1)


async def seen_in(world: DispatchWorld, city: str, order_id: str) -> None:
    """Waits until the order's customer sees where its rider is."""
    async with asyncio.timeout(30):
        while True:
            if (await world.track(city, order_id)).HasField("rider_at"):
                return
            await asyncio.sleep(0.1)


@pytest.mark.prove
@pytest.mark.parametrize("killed", [HOME, BORROWER])
async def test_death_of_an_owner_loses_no_rider_and_loads_none_twice(
    stack: LocalStack, fresh_database: str, tmp_path: Path, killed: str
) -> None:
    """kill -9 of either owner while the rider has the neighbour's order: delivered once, and the rider is back."""
    async with neighbours(stack, fresh_database, tmp_path) as (world, shards):
        await world.status(HOME, 1, link.RIDER_STATUS_ONLINE, capacity=2)
        await world.fixes(HOME, {1: SOUTH_OF_BORDER})
        order_id = await world.open_order(BORROWER, 1, restaurant=NORTH_OF_BORDER, door=(-40, 0))
        offer = await offered_at_home(world, order_id)
        entry = (await world.store.read_map()).cities[killed]
        assert entry.owner is not None
        await shards[entry.owner].kill()
        await world.reply(HOME, offer, accepted=True)
        await world.status(HOME, 1, link.RIDER_STATUS_PICKED_UP, order_id)
        await world.status(HOME, 1, link.RIDER_STATUS_DELIVERED, order_id)
        await world.track(BORROWER, order_id, pb.ORDER_STATE_DELIVERED)
        await back_home(world)
        twice = "select count(*) from dispatch.holdings where until_tick is null"
        assert await world.pool.fetchval(twice) == 0
