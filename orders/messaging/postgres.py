"""Held events and offsets in Postgres. All but `offsets` work on the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from node.outbox.postgres import PostgresOutbox
from node.postgres import Schema, session, statements
from orders.messaging.message import Offset
from orders.model import OrderId

SQL = statements(__file__)

#: The tables of outbox and inbox.
SCHEMA = Schema("messaging", Path(__file__).parent / "migrations")

#: Rows deleted in one transaction: a fraction of a second.
BATCH = 20_000


async def delete_in_batches(pool: asyncpg.Pool, query: str, *args: object) -> None:
    """Runs a deletion, whose first parameter is the most rows it may take, until it finds fewer. Each batch is
    committed: what an hour of much work left behind is deleted in steps that no timeout ends.
    """
    deleted = BATCH
    while deleted == BATCH:
        async with session(pool) as connection:
            deleted = int((await connection.execute(query, BATCH, *args)).removeprefix("DELETE "))


async def forget_sent(pool: asyncpg.Pool) -> None:
    """Delete what the outbox sent more than a day ago, batch by batch."""
    outbox = PostgresOutbox(pool)
    while await outbox.forget_sent(BATCH) == BATCH:
        pass


@dataclass(frozen=True, slots=True)
class HeldEvent:
    """An event that waits for the ones before it, as it was received."""

    source: str
    order_id: OrderId
    version: int
    payload: bytes


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

    When the log is another one than before (the broker lost it), nothing of it was read yet.
    """
    async with session(pool) as connection, connection.transaction():
        known = await connection.fetchval(SQL.log)
        if known != log_id:
            await connection.execute(SQL.set_log, log_id)
            await connection.execute(SQL.forget_offsets)
        rows = await connection.fetch(SQL.offsets)
    return {(row["topic"], row["partition"]): row["next_offset"] for row in rows}
