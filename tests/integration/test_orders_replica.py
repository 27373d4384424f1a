"""Reads from a real streaming replica: by whom, how old, and what happens when it stands still or dies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, replace

import asyncpg
import pytest
import structlog

from node import postgres
from node.clock import SystemClock
from orders.model import Order, OrderId, Status, UserId
from orders.ordering.adapters.postgres.database import OrderDatabase
from orders.ordering.adapters.postgres.decisions import PostgresDecisions
from orders.ordering.adapters.postgres.schema import SCHEMAS
from orders.ordering.adapters.replica_reads import ReplicaReads
from orders.ordering.metrics import REPLICA_READS
from orders.ordering.observers import WriteObservers
from orders.ordering.ports import IdempotencyKey
from orders.ordering.saga import Signal, step
from orders.ordering.transitions import Trigger
from tests.integration.orders_world import administer
from tests.integration.postgres_replica import Pair, postgres_pair
from tests.unit.orders.worlds import ANA, order_id, placed

pytestmark = pytest.mark.prove

BEN = UserId("ben")
MAX_AGE_S = 1.5


@dataclass
class World:
    """Orders upon a primary and its replica."""

    pair: Pair
    orders: ReplicaReads
    decisions: PostgresDecisions
    replica: asyncpg.Pool
    now_ms: int

    async def place(self, number: int, user: UserId) -> OrderId:
        """An order of the user."""
        change = placed(number, user, self.now_ms)
        await self.decisions.place(change, IdempotencyKey(f"key-{user}-{number}", b""))
        return change.order.order_id

    async def read(self, order: OrderId) -> tuple[Order | None, str]:
        """What is found, and where."""
        before = {where: REPLICA_READS.labels(where)._value.get() for where in ("primary", "replica")}
        found = await self.orders.get(order)
        moved = [where for where, count in before.items() if REPLICA_READS.labels(where)._value.get() > count]
        return found, "+".join(moved)

    async def until_read_from(self, where: str, order: OrderId) -> Order:
        """The order, once it is read there."""
        async with asyncio.timeout(20):
            while True:
                found, place = await self.read(order)
                if place == where and found is not None:
                    return found
                await asyncio.sleep(0.02)


@pytest.fixture
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Both servers, migrated, measured."""
    async with postgres_pair(tmp_path_factory.mktemp("pair")) as pair:
        await administer(pair.primary, ["create database orders_0"])
        for schema in SCHEMAS:
            await postgres.migrate(f"{pair.primary}/orders_0", schema.package, schema.folder)
        clock = SystemClock()
        primary = await postgres.connect(f"{pair.primary}/orders_0")
        # One connection for reading and for measuring: neither may keep it.
        replica = await postgres.connect(f"{pair.replica}/orders_0", min_size=0, max_size=1)
        await OrderDatabase(primary, clock).make_partitions()
        orders = ReplicaReads(primary, replica, MAX_AGE_S, clock, structlog.get_logger())
        decisions = PostgresDecisions(primary, clock, lambda: None, WriteObservers((orders,)))
        measuring = asyncio.create_task(orders.run())
        yield World(pair, orders, decisions, replica, clock.wall_ms())
        measuring.cancel()
        with suppress(asyncio.CancelledError):
            await measuring
        replica.terminate()
        await primary.close()


async def test_reads_go_to_the_replica_when_it_has_what_the_reader_has_seen(world: World) -> None:
    """Who wrote reads from the primary until the replica has it, others from the replica; none from a dead one."""
    mine, others = await world.place(1, ANA), await world.place(1, BEN)
    assert (await world.read(mine))[1] == "primary"  # at once, whatever the replica has
    assert (await world.until_read_from("replica", mine)).status is Status.PLACED
    assert len((await world.orders.page(ANA, None, 10)).orders) == 1
    await world.until_read_from("replica", others)

    await world.replica.execute("select pg_wal_replay_pause()")
    changed = await world.decisions.change(mine, lambda order: step(order, Signal(Trigger.CANCEL, world.now_ms)))
    assert changed is not None
    found, where = await world.read(mine)
    assert (found, where) == (changed, "primary")  # one's own write is read
    assert (await world.read(others))[1] == "replica"  # a little old will do for others
    assert (await world.until_read_from("primary", others)).order_id == others  # older than MAX_AGE_S will not
    unknown = replace(placed(9, BEN, world.now_ms).order).order_id
    assert await world.orders.get(unknown) is None

    await world.replica.execute("select pg_wal_replay_resume()")
    assert await world.until_read_from("replica", mine) == changed

    await world.replica.execute("select pg_wal_replay_pause()")
    await world.until_read_from("replica", others)
    world.orders.outcome_unknown()  # of a write that may be anybody's
    assert (await world.read(others))[1] == "primary"
    await world.replica.execute("select pg_wal_replay_resume()")
    await world.until_read_from("replica", others)

    world.pair.replica_process.kill()
    await world.pair.replica_process.wait()
    for _ in range(3):
        assert await world.orders.get(mine) == changed
    assert (await world.read(mine))[1] == "primary"
    assert order_id(1, at_ms=world.now_ms) == mine
