"""Outbox, held events and offsets in Postgres. All but `PostgresOutbox` work on the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from node.postgres import Schema, classified, statements
from node.set_aside import UNSENT, BadMessage, set_aside
from orders.messaging.message import Message, Offset
from orders.messaging.metrics import OUTBOX_LAG_MS
from orders.messaging.relay import Send
from orders.model import OrderId

SQL = statements(__file__)

#: The tables of this module, in every database that has an outbox.
SCHEMA = Schema("messaging", Path(__file__).parent / "migrations")

#: Rows deleted in one transaction: a fraction of a second.
BATCH = 20_000


async def delete_in_batches(pool: asyncpg.Pool, query: str, *args: object) -> None:
    """Runs a deletion, whose first parameter is the most rows it may take, until it finds fewer. Each batch is
    committed: what an hour of much work left behind is deleted in steps that no timeout ends.
    """
    deleted = BATCH
    while deleted == BATCH:
        with classified():
            deleted = int((await pool.execute(query, BATCH, *args)).removeprefix("DELETE "))


@dataclass(frozen=True, slots=True)
class HeldEvent:
    """An event that waits for the ones before it, as it was received."""

    source: str
    order_id: OrderId
    version: int
    payload: bytes


async def add(connection: asyncpg.Connection, messages: Sequence[Message]) -> None:
    """Writes messages to the outbox."""
    if messages:
        rows = [(m.event_id, m.order_id, m.topic, m.city, m.payload) for m in messages]
        await connection.executemany(SQL.add, rows)


async def held(connection: asyncpg.Connection, orders: Iterable[OrderId]) -> list[HeldEvent]:
    """Events of these orders that wait for earlier ones."""
    rows = await connection.fetch(SQL.held, list(orders))
    return [HeldEvent(row["source"], OrderId(row["order_id"]), row["version"], row["payload"]) for row in rows]


async def hold(connection: asyncpg.Connection, events: Sequence[HeldEvent]) -> None:
    """Keeps events until the ones before them have come; those kept already stay as they are."""
    if events:
        rows = [(event.source, event.order_id, event.version, event.payload) for event in events]
        await connection.executemany(SQL.hold, rows)


async def release(connection: asyncpg.Connection, seen: Sequence[tuple[str, OrderId, int]]) -> None:
    """Forgets held events up to the version seen, by source and order."""
    if seen:
        await connection.executemany(SQL.release, seen)


async def save_offsets(connection: asyncpg.Connection, offsets: Sequence[Offset]) -> None:
    """Writes down how far each partition was read."""
    await connection.execute(
        SQL.save_offsets,
        [offset.topic for offset in offsets],
        [offset.partition for offset in offsets],
        [offset.next for offset in offsets],
    )


async def offsets(pool: asyncpg.Pool, log_id: str) -> Mapping[tuple[str, int], int]:
    """How far each partition of this log was read.

    When the log is another one than before (the broker lost it), nothing of it was read yet, and everything that the
    outbox still has, a day's worth, is told again.
    """
    with classified():
        async with pool.acquire() as connection, connection.transaction():
            known = await connection.fetchval(SQL.log)
            if known != log_id:
                await connection.execute(SQL.set_log, log_id)
                await connection.execute(SQL.forget_offsets)
                if known is not None:
                    await connection.execute(SQL.send_all_again)
            rows = await connection.fetch(SQL.offsets)
    return {(row["topic"], row["partition"]): row["next_offset"] for row in rows}


@dataclass(frozen=True, slots=True)
class PostgresOutbox:
    """The outbox of one database."""

    pool: asyncpg.Pool

    async def relay(self, limit: int, send: Send) -> int:
        """See `relay.Outbox`. The claim lives as long as the transaction: when this process dies, it is given up."""
        with classified():
            async with self.pool.acquire() as connection, connection.transaction():
                # Until the end nobody can say that the log is another one (`offsets`): or what the old log
                # took would be marked as sent after all was to be sent again, and be lost.
                await connection.execute(SQL.hold_log)
                claimed = await connection.fetch(SQL.claim_orders, limit)
                if not claimed:
                    return 0
                rows = await connection.fetch(SQL.unsent, [row["order_id"] for row in claimed])
                refused = await send([_message(row) for row in rows])
                await set_aside(connection, "relay", [_unsent(rows[n], reason) for n, reason in refused.items()])
                ids = [row["order_id"] for row in rows], [row["id"] for row in rows]
                sent = await connection.fetch(SQL.mark_sent, *ids)
        for row in sent:
            OUTBOX_LAG_MS.observe(row["lag_ms"])
        return len(rows)

    async def send_again(self, orders: Sequence[OrderId]) -> None:
        """Has all messages of these orders that are still kept sent once more."""
        with classified():
            await self.pool.execute(SQL.send_again, list(orders))

    async def forget_sent(self) -> None:
        """Drops what was sent more than a day ago; until then a broker that lost its log can be told again."""
        await delete_in_batches(self.pool, SQL.forget_sent)


def _unsent(row: asyncpg.Record, reason: str) -> BadMessage:
    return BadMessage(row["topic"], UNSENT, row["id"], row["order_id"], row["payload"], reason)


def _message(row: asyncpg.Record) -> Message:
    return Message(row["event_id"], OrderId(row["order_id"]), row["topic"], row["payload"], row["city"])
