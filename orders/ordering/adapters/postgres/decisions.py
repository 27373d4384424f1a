"""Change the orders of one database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

import asyncpg

from node.clock import Clock
from node.outbox import postgres as outbox
from node.outbox.message import Message
from node.postgres import PoolExhausted, session
from orders.messaging import postgres as messaging
from orders.messaging.message import Offset
from orders.messaging.postgres import HeldEvent
from orders.model import Order, OrderId, UserId
from orders.ordering.adapters.codec import decode, encode
from orders.ordering.adapters.postgres.reads import PostgresReads
from orders.ordering.adapters.postgres.rows import changed_row, created_at, new_row, order_of, seen_of
from orders.ordering.adapters.postgres.statements import SQL
from orders.ordering.errors import KeyReused
from orders.ordering.event_inbox import (
    BatchOutcome,
    EventOutcome,
    ReceivedEvent,
    SeenVersions,
    Source,
    apply_events,
)
from orders.ordering.events import Change, Event
from orders.ordering.observers import NO_OBSERVERS, WriteObservers
from orders.ordering.ports import IdempotencyKey, Placement

#: Orders whose rows are locked, each with the versions of events it has seen.
Locked = Mapping[OrderId, tuple[Order, SeenVersions]]


class PostgresDecisions:
    """`OrderDecisions` on one database: an order's row is locked while it is decided on.

    `wrote` is called after a commit that left something in the outbox, `observers` are told of the orders.
    """

    def __init__(
        self,
        pool: asyncpg.Pool,
        clock: Clock,
        wrote: Callable[[], None],
        observers: WriteObservers = NO_OBSERVERS,
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._wrote = wrote
        self._observers = observers

    async def place(self, change: Change, key: IdempotencyKey) -> Placement:
        try:
            placement = await self._place(change, key)
        except PoolExhausted:
            raise  # Nothing was begun.
        except BaseException:
            # Perhaps it was committed all the same: the customer must not miss the order in what is old.
            await self._observers.placed(change.order)
            raise
        await self._observers.placed(change.order)
        return placement

    async def _place(self, change: Change, key: IdempotencyKey) -> Placement:
        order = change.order
        (message,) = self._messages(change.events)
        async with session(self._pool) as connection:
            stored = await connection.fetchval(
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
        async with session(self._pool) as connection:
            row = await connection.fetchrow(SQL.placed_by_key, user_id, key.key)
        order_id = OrderId(row["order_id"])
        if row["body_sha256"] != key.body_sha256:
            raise KeyReused(order_id)
        order = await PostgresReads(self._pool).get(order_id)
        if order is None:
            raise KeyReused(order_id)
        return Placement(order, replayed=True)

    async def change(self, order_id: OrderId, decide: Callable[[Order], Change]) -> Order | None:
        with self._observers.told_if_unknown():
            async with session(self._pool) as connection, connection.transaction():
                rows = await _lock(connection, [order_id])
                if not rows:
                    return None
                order, seen = rows[order_id]
                change = decide(order)
                if change.order != order:
                    await connection.execute(SQL.update, *changed_row(change.order, seen))
                    await outbox.add(connection, self._messages(change.events))
            self._wrote()
            await self._observers.changed(change.order)
        return change.order

    async def receive(self, events: Sequence[ReceivedEvent], offsets: Sequence[Offset]) -> BatchOutcome:
        outcome = BatchOutcome()
        with self._observers.told_if_unknown():
            async with session(self._pool) as connection, connection.transaction():
                if events:
                    outcome = await self._apply(connection, events)
                else:
                    # Nothing but offsets: if they are lost, the batch is read again and found to be of others.
                    await connection.execute("set local synchronous_commit = off")
                await messaging.save_offsets(connection, offsets)
            if outcome.applied:
                self._wrote()
            await self._observers.received(outcome.changed)
        return outcome

    async def _apply(self, connection: asyncpg.Connection, received: Sequence[ReceivedEvent]) -> BatchOutcome:
        rows = await _lock(connection, {event.order_id for event in received})
        held = await messaging.held(connection, rows)
        events: dict[OrderId, list[ReceivedEvent]] = defaultdict(list)
        for kept in held:
            events[kept.order_id].append(decode(Source(kept.source), kept.payload))
        outcome = BatchOutcome()
        for event in received:
            if event.order_id in rows:
                events[event.order_id].append(event)
            else:
                outcome.unknown += 1
        applied = {order_id: apply_events(*rows[order_id], events[order_id]) for order_id in rows}
        for one in applied.values():
            outcome.add(one)
        await self._write(connection, [one for one in applied.values() if one.applied or one.hold])
        released = [(kept.source, kept.order_id, applied[kept.order_id].seen[Source(kept.source)]) for kept in held]
        await messaging.release(connection, released)
        return outcome

    async def _write(self, connection: asyncpg.Connection, outcomes: Sequence[EventOutcome]) -> None:
        moved = [one for one in outcomes if one.applied]
        if moved:
            await connection.executemany(SQL.update, [changed_row(one.change.order, one.seen) for one in moved])
            await outbox.add(connection, self._messages([event for one in moved for event in one.change.events]))
        held = [event for one in outcomes for event in one.hold]
        await messaging.hold(
            connection, [HeldEvent(event.source, event.order_id, event.version, event.raw) for event in held]
        )

    def _messages(self, events: Sequence[Event]) -> list[Message]:
        wall_ms = self._clock.wall_ms()
        return [encode(event, wall_ms) for event in events]


async def _lock(connection: asyncpg.Connection, orders: Iterable[OrderId]) -> Locked:
    """Lock the rows of orders until the transaction ends."""
    ids = list(orders)
    times = [created_at(order_id) for order_id in ids]
    rows = await connection.fetch(SQL.lock, ids, min(times), max(times))
    return {OrderId(str(row["order_id"])): (order_of(row), seen_of(row)) for row in rows}
