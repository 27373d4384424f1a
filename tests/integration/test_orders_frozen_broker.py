"""A broker that takes requests and answers none: what waits for it keeps nothing that a decision needs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg

from deploy.stack.stack import LocalStack
from proto.orders.v1 import orders_pb2 as pb
from tests.integration.kafka_proxy import DroppingProxy
from tests.integration.orders_world import OrdersWorld, orders_world, until

#: Sessions of a database that wait: for who keeps a row, or for who keeps a transaction open.
_BLOCKED = "select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
_RELAYING = (
    "select pid from pg_stat_activity where datname = current_database() and state = 'idle in transaction'"
    " and query like '%outbox_logs%'"
)


async def database_of(world: OrdersWorld, order_id: str) -> str:
    """The name of the database with the order."""
    for name in ("orders_0", "orders_1"):
        if await world.fetch(name, "select from orders where order_id = $1", order_id):
            return name
    raise AssertionError("the order is nowhere")


async def test_a_frozen_broker_keeps_no_connection_that_decides(stack: LocalStack, tmp_path: Path) -> None:
    """With two connections to a database, one of them in a decision that waits, an order is placed over the other while
    the relay waits for the broker; when that answers again, all goes on.
    """
    proxy = DroppingProxy(stack.env["FORNO_KAFKA_URL"], b"events")
    async with (
        proxy.running(),
        orders_world(stack, tmp_path, {"FORNO_KAFKA_URL": proxy.address, "FORNO_ORDERS_POOL": "2"}) as world,
    ):
        first = await world.place()
        await world.until_status(first.order_id, "ACCEPTED")
        database = await database_of(world, first.order_id)
        proxy.answering.clear()
        await world.place()
        await until(lambda: world.fetch(database, _RELAYING), bool, "the relay waits for the broker")
        holder = await asyncpg.connect(world.databases[database])
        async with holder.transaction():
            await holder.execute("select from orders where order_id = $1 for update", first.order_id)
            request = pb.CancelRequest(order_id=first.order_id, user_id="ana")
            cancelling = asyncio.ensure_future(world.orders.Cancel(request, timeout=60))
            await until(lambda: world.fetch(database, _BLOCKED), bool, "the decision waits")
            third = await world.place()
        await cancelling
        await holder.close()
        proxy.answering.set()
        await world.until_status(third.order_id, "ACCEPTED")
        await world.until_status(first.order_id, "CANCELLED")
