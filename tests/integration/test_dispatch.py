"""Shards as processes on real servers: orders carried from offer to door, crashes in between, moves, zombies."""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
import sys
from pathlib import Path

import pytest
import structlog

from deploy.stack.stack import LocalStack
from proto.dispatch.v1 import dispatch_pb2 as pb
from proto.topics import CITY_EVENTS, RIDER_PINGS
from proto.tracking.v1 import rider_link_pb2 as link
from shard_router.client import Directory
from shard_router.topology import MoveState
from tests.integration.dispatch_world import DispatchWorld, dispatch_world


async def deliver(world: DispatchWorld, city: str, order_id: str) -> int:
    """Carries an order that was opened to its door, as its rider would say it; the rider's number."""
    offer = await world.offer_for(city, order_id)
    await world.reply(city, offer, accepted=True)
    return await deliver_accepted(world, city, offer, order_id)


async def deliver_accepted(world: DispatchWorld, city: str, offer: pb.RiderOffer, order_id: str) -> int:
    """Carries an order whose offer was accepted to its door; the rider's number."""
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


async def explain(*words: str) -> tuple[int | None, str, str]:
    """Exit code, standard output and standard error of `forno explain`."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "node.cli", "explain", *words, stdout=pipe, stderr=pipe
    )
    printed, said = await process.communicate()
    return process.returncode, printed.decode(), said.decode()


async def test_an_order_from_offer_to_door(stack: LocalStack, fresh_database: str, tmp_path: Path) -> None:
    """The nearer of two riders is asked, accepts and delivers; every step is told in order, and can be explained."""
    async with dispatch_world(stack, fresh_database, tmp_path) as world, world.shard("shard-a"):
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
        async with world.router() as router:
            code, printed, said = await explain(order_id, "--json", "--router", router)
            assert (code, said) == (0, "")
            code, nothing, said = await explain(order_id, "--city", "nowhere", "--router", router)
            assert (code, nothing) == (1, "")
            assert "no city 'nowhere'" in said
            code, _, said = await explain("o-unknown", "--city", city, "--router", router)
            assert (code, said) == (1, f"forno explain: no order 'o-unknown' (asked: {city})\n")
        (record,) = (json.loads(line) for line in printed.splitlines())
        assert (record["rider_id"], record["outcome"], record["epoch"]) == (world.rider(1), "accepted", 1)
        assert record["candidates"] == 2
        assert [other["rider_id"] for other in dict(record["alternatives"])[order_id]] == [world.rider(2)]


async def test_a_killed_shard_goes_on(stack: LocalStack, fresh_database: str, tmp_path: Path) -> None:
    """Killed between acceptance and pickup, the shard comes back with the same plan; nobody else is asked."""
    async with dispatch_world(stack, fresh_database, tmp_path) as world:
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


async def test_two_shards_two_cities(stack: LocalStack, fresh_database: str, tmp_path: Path) -> None:
    """Each city has an owner and is dispatched by it."""
    async with (
        dispatch_world(stack, fresh_database, tmp_path, cities=2) as world,
        world.shard("shard-a"),
        world.shard("shard-b"),
    ):
        for number, city in enumerate(world.cities):
            await world.status(city, number, link.RIDER_STATUS_ONLINE)
            await world.fixes(city, {number: (0, 1)})
            await deliver(world, city, await world.open_order(city, number, restaurant=(0, 0), door=(5, 5)))


async def test_a_frozen_shard_writes_nothing_when_it_wakes(
    stack: LocalStack, fresh_database: str, tmp_path: Path
) -> None:
    """Stopped past its lease and then continued, the former owner commits nothing and lives on without the city."""
    async with dispatch_world(stack, fresh_database, tmp_path) as world, world.shard("shard-a") as old:
        (city,) = world.cities
        for rider in (1, 2):
            await world.status(city, rider, link.RIDER_STATUS_ONLINE)
        await world.fixes(city, {1: (0, 1), 2: (0, 30)})
        first = await world.open_order(city, 1, restaurant=(0, 0), door=(10, 0))
        offer = await world.offer_for(city, first)
        old.process.send_signal(signal.SIGSTOP)
        async with world.shard("shard-b"):
            await world.owner(city, "shard-b")
            # What the frozen one decides on when it wakes, if anything would let it.
            await world.reply(city, offer, accepted=True)
            old.process.send_signal(signal.SIGCONT)
            await deliver_accepted(world, city, offer, first)
            await world.fixes(city, {1: (10, 0), 2: (0, 30)})
            second = await world.open_order(city, 2, restaurant=(0, 28), door=(10, 0))
            await deliver(world, city, second)
        assert old.process.returncode is None
        epochs = await world.pool.fetch("select tick, epoch from dispatch.ticks where city = $1 order by tick", city)
        assert [row["epoch"] for row in epochs] == sorted(row["epoch"] for row in epochs)
        assert {row["epoch"] for row in epochs} == {1, 2}
        doubles = "select order_id from dispatch.holdings where slot is not null group by order_id having count(*) > 1"
        assert await world.pool.fetch(doubles) == []
        ranges = "select topic, first_offset, next_offset from dispatch.applied_ranges where city = $1 order by epoch"
        for topic in (RIDER_PINGS.name, CITY_EVENTS.name):
            of_topic = [row for row in await world.pool.fetch(ranges, city) if row["topic"] == topic]
            for before, after in itertools.pairwise(of_topic):
                assert before["next_offset"] == after["first_offset"]


async def ask_on(directory: Directory, city: str, answers: list[int]) -> None:
    """Asks the city's owner again and again, as an edge does; epochs of the answers."""
    request = pb.OpenOffersRequest(city=city)
    while True:
        answers.append((await directory.ask(city, lambda shard: shard.OpenOffers(request))).epoch)
        await asyncio.sleep(0.01)


async def test_a_city_moves_to_another_shard(stack: LocalStack, fresh_database: str, tmp_path: Path) -> None:
    """Moved warm with an order on its way: the new owner delivers it; callers notice nothing but the epoch."""
    async with (
        dispatch_world(stack, fresh_database, tmp_path) as world,
        world.shard("shard-a"),
        world.router() as router,
    ):
        (city,) = world.cities
        await world.status(city, 1, link.RIDER_STATUS_ONLINE)
        await world.fixes(city, {1: (0, 1)})
        order_id = await world.open_order(city, 1, restaurant=(0, 0), door=(10, 0))
        offer = await world.offer_for(city, order_id)
        await world.reply(city, offer, accepted=True)
        await world.track(city, order_id, pb.ORDER_STATE_ASSIGNED)
        directory, answers = Directory(router, structlog.get_logger()), list[int]()
        await directory.start()
        callers = [asyncio.create_task(work) for work in (directory.run(), ask_on(directory, city, answers))]
        async with world.shard("shard-b"):
            await world.alive("shard-b")
            await world.store.request_move(city, "shard-b", "test")
            await world.owner(city, "shard-b")
            await deliver_accepted(world, city, offer, order_id)
            results = await world.results(order_id, 3)
            async with asyncio.timeout(20):
                while 2 not in answers:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            (move,) = await world.store.moves(5)
            assert not [task.exception() for task in callers if task.done()]
            for task in callers:
                task.cancel()
            await asyncio.gather(*callers, return_exceptions=True)
            await directory.close()
        assert [(r.version, r.epoch) for r in results][-2:] == [(2, 2), (3, 2)]
        assert answers == sorted(answers)
        assert (move.state, move.reason) == (MoveState.DONE, "")
        assert move.warm_ms is not None
        assert move.released_ms is not None
        assert move.warm_ms <= move.released_ms


@pytest.mark.timeout(240)
@pytest.mark.prove
async def test_every_server_restarts(own_folder: Path, tmp_path: Path) -> None:
    """Redis, MongoDB, Postgres and a broker that keeps nothing, one after another, while an order is on its way."""
    async with LocalStack(own_folder, kafka="embedded") as stack:
        database = f"{stack.env['FORNO_POSTGRES_URL']}/core"
        async with dispatch_world(stack, database, tmp_path) as world, world.shard("shard-a") as shard:
            (city,) = world.cities
            await world.status(city, 1, link.RIDER_STATUS_ONLINE)
            await world.fixes(city, {1: (0, 1)})
            order_id = await world.open_order(city, 1, restaurant=(0, 0), door=(10, 0))
            offer = await world.offer_for(city, order_id)
            for server in ("redis", "mongo", "postgres", "kafka"):
                await stack.restart(server)
            await world.reply(city, offer, accepted=True)
            await deliver_accepted(world, city, offer, order_id)
            assert {r.version for r in await world.results(order_id, 3)} == {1, 2, 3}
            await world.fixes(city, {1: (10, 0)})
            await deliver(world, city, await world.open_order(city, 2, restaurant=(10, 1), door=(0, 0)))
            await world.in_geo(city, 1)
            assert shard.process.returncode is None
