"""One shard of the orders in Postgres."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import asyncpg

from node.clock import Clock
from node.postgres import Schema, classified
from orders.errors import KeyReused
from orders.messaging import postgres as messaging
from orders.messaging.message import Message, Offset
from orders.messaging.postgres import Held, PostgresOutbox, delete_in_batches
from orders.messaging.statements import statements
from orders.model import Order, OrderId, Status, UserId
from orders.ordering.adapters.codec import decode, encode
from orders.ordering.adapters.rows import changed_row, created_at, new_row, order_of, seen_of
from orders.ordering.events import Change, Event
from orders.ordering.hearing import Absorbed, Digested, Heard, Seen, Source, digest
from orders.ordering.ports import IdempotencyKey, Page, Placement
from orders.ranges import Range

#: What a database of orders is made of, in this order.
SCHEMAS = (messaging.SCHEMA, Schema("orders", Path(__file__).parents[2] / "migrations"))
SQL = statements(Path(__file__).parent.parent / "sql")

#: Idempotency keys are kept for so long.
KEEP_KEYS_DAYS = 30

_NEWEST = (datetime.max.replace(tzinfo=UTC), OrderId("ffffffff-ffff-ffff-ffff-ffffffffffff"))


class PostgresOrders:
    """The orders of one database. `wrote` is called after a commit that left something in the outbox."""

    def __init__(self, pool: asyncpg.Pool, clock: Clock, wrote: Callable[[], None]) -> None:
        self._pool = pool
        self._clock = clock
        self._wrote = wrote
        self.outbox = PostgresOutbox(pool)

    async def claim_range(self, own: Range) -> None:
        """Says which points the database holds, once for ever. Raises `ValueError` when it was made for others."""
        await self._pool.execute(SQL.claim_range, own.first, own.last)
        row = await self._pool.fetchrow(SQL.range)
        if (row["first_point"], row["last_point"]) != (own.first, own.last):
            held = f"{row['first_point']}-{row['last_point']}"
            raise ValueError(
                f"{own.database} was made for points {held}, not {own.first}-{own.last}: see docs/orders.md"
            )

    async def make_partitions(self) -> None:
        """Makes the partitions of last month, this month and the next two."""
        with classified():
            await self._pool.execute(SQL.make_partitions, datetime.fromtimestamp(self._clock.wall_ms() / 1000, UTC))

    async def place(self, change: Change, key: IdempotencyKey) -> Placement:
        order = change.order
        (message,) = self._messages(change.events)
        with classified():
            stored = await self._pool.fetchval(
                SQL.place,
                order.order_id,
                created_at(order.order_id),
                order.user_id,
                key.key,
                key.body_sha256,
                *new_row(order),
                message.event_id,
                message.topic,
                message.payload,
            )
        if stored is None:
            return await self._placed_before(order.user_id, key)
        self._wrote()
        return Placement(order, replayed=False)

    async def _placed_before(self, user_id: UserId, key: IdempotencyKey) -> Placement:
        with classified():
            row = await self._pool.fetchrow(SQL.placed_by_key, user_id, key.key)
        order_id = OrderId(row["order_id"])
        if row["body_sha256"] != key.body_sha256:
            raise KeyReused(order_id)
        order = await self.get(order_id)
        if order is None:
            raise KeyReused(order_id)
        return Placement(order, replayed=True)

    async def get(self, order_id: OrderId) -> Order | None:
        with classified():
            row = await self._pool.fetchrow(SQL.get, order_id, created_at(order_id))
        return order_of(row) if row else None

    async def page(self, user_id: UserId, before: OrderId | None, limit: int) -> Page:
        newest = (created_at(before), before) if before else _NEWEST
        with classified():
            rows = await self._pool.fetch(SQL.list, user_id, *newest, limit + 1)
        return Page.of([order_of(row) for row in rows], limit)

    async def change(self, order_id: OrderId, decide: Callable[[Order], Change]) -> Order | None:
        with classified():
            async with self._pool.acquire() as connection, connection.transaction():
                rows = await self._lock(connection, [order_id])
                if not rows:
                    return None
                order, seen = rows[order_id]
                change = decide(order)
                if change.order != order:
                    await connection.execute(SQL.update, *changed_row(change.order, seen))
                    await messaging.add(connection, self._messages(change.events))
        self._wrote()
        return change.order

    async def absorb(self, heard: Sequence[Heard], offsets: Sequence[Offset]) -> Absorbed:
        absorbed = Absorbed()
        with classified():
            async with self._pool.acquire() as connection, connection.transaction():
                if heard:
                    absorbed = await self._digest(connection, heard)
                else:
                    # Nothing but offsets: if they are lost, the batch is read again and found to be of others.
                    await connection.execute("set local synchronous_commit = off")
                await messaging.save_offsets(connection, offsets)
        if absorbed.applied:
            self._wrote()
        return absorbed

    async def _digest(self, connection: asyncpg.Connection, heard: Sequence[Heard]) -> Absorbed:
        rows = await self._lock(connection, {event.order_id for event in heard})
        events: dict[OrderId, list[Heard]] = defaultdict(list)
        held = await messaging.held(connection, rows)
        for kept in held:
            events[kept.order_id].append(decode(Source(kept.source), kept.payload))
        absorbed = Absorbed()
        for event in heard:
            if event.order_id in rows:
                events[event.order_id].append(event)
            else:
                absorbed.unknown += 1
        digested = {order_id: digest(*rows[order_id], events[order_id]) for order_id in rows}
        for one in digested.values():
            absorbed.count(one)
        await self._write(connection, [one for one in digested.values() if one.applied or one.hold])
        await messaging.release(
            connection,
            [(kept.source, kept.order_id, digested[kept.order_id].seen[Source(kept.source)]) for kept in held],
        )
        return absorbed

    async def _write(self, connection: asyncpg.Connection, digested: Sequence[Digested]) -> None:
        moved = [one for one in digested if one.applied]
        if moved:
            await connection.executemany(SQL.update, [changed_row(one.change.order, one.seen) for one in moved])
            await messaging.add(connection, self._messages([event for one in moved for event in one.change.events]))
        await messaging.hold(
            connection,
            [Held(event.source, event.order_id, event.version, event.raw) for one in digested for event in one.hold],
        )

    async def _lock(
        self, connection: asyncpg.Connection, orders: Sequence[OrderId] | set[OrderId]
    ) -> dict[OrderId, tuple[Order, Seen]]:
        times = [created_at(order_id) for order_id in orders]
        rows = await connection.fetch(SQL.lock, list(orders), min(times), max(times))
        return {OrderId(str(row["order_id"])): (order_of(row), seen_of(row)) for row in rows}

    async def stuck(self, status: Status, older_than_s: float, limit: int) -> list[OrderId]:
        with classified():
            rows = await self._pool.fetch(SQL.stuck, status, older_than_s, limit)
        return [OrderId(row["order_id"]) for row in rows]

    async def count_stuck(self, status: Status, older_than_s: float) -> int:
        with classified():
            count: int = await self._pool.fetchval(SQL.count_stuck, status, older_than_s)
        return count

    async def tell_again(self, status: Status, older_than_s: float, limit: int) -> int:
        with classified():
            told: int = await self._pool.fetchval(SQL.tell_again, status, older_than_s, limit)
        if told:
            self._wrote()
        return told

    async def forget(self) -> None:
        """Forgets sent messages, idempotency keys (a client that repeats one after so long places a new order), and who
        was told again, a day after there was reason to.
        """
        await self.outbox.forget_sent()
        await delete_in_batches(self._pool, SQL.forget_told)
        await delete_in_batches(self._pool, SQL.forget_keys, KEEP_KEYS_DAYS)

    def _messages(self, events: Sequence[Event]) -> list[Message]:
        wall_ms = self._clock.wall_ms()
        return [encode(event, wall_ms) for event in events]
