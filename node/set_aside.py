"""Set a message aside that cannot be read, stored or sent, with its reason, so that everything behind it goes on.

The table `set_aside` lies in each database that reads or relays messages, so that a reader can write a row in the
transaction that moves its position on. `forno log poison` lists the rows, has a message tried again, or drops it: the
row is done then, and stays so that the same message, read again, does not come back to the list.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import asyncpg
from aiokafka import ConsumerRecord

from node.postgres import Schema, session, statements
from node.telemetry import counter

SQL = statements(__file__)
#: The table.
SCHEMA = Schema("node", Path(__file__).parent / "migrations")

#: Bytes of a message that are kept. A longer one is read from the log again when it is tried again.
KEPT_BYTES = 64 * 1024
#: Characters of a key and of a reason that are kept: all of any order's id.
KEPT_TEXT = 1024
#: Partition of a message that lies in an outbox and was never sent; its offset is its id there.
UNSENT = -1

#: Messages of one reader that are kept: first those that are not done, then the newest. With `KEPT_BYTES` it bounds
#: what a flood can fill: 64 MB a reader.
KEPT_ROWS = 1000

SET_ASIDE = counter(
    "forno_node_set_aside_total", "messages that could not be read, stored or sent, and were set aside", ["reader"]
)
DROPPED = counter(
    "forno_node_set_aside_dropped_total", "messages set aside that were dropped for newer ones, unseen", ["reader"]
)


@dataclass(frozen=True, slots=True)
class BadMessage:
    """A message, where it lies, and what is wrong with it. `passed_over`: it counts as applied.

    `payload` are its first `KEPT_BYTES`, so that one may wait in memory; `size` and `sha256` are those of all of it.
    """

    topic: str
    partition: int
    offset: int
    key: str
    payload: bytes
    size: int
    sha256: bytes
    reason: str
    passed_over: bool

    @staticmethod
    def of(
        topic: str, partition: int, offset: int, key: str, value: bytes, reason: str, *, passed_over: bool = False
    ) -> BadMessage:
        """A message with this value."""
        digest = hashlib.sha256(value).digest()
        return BadMessage(topic, partition, offset, key, value[:KEPT_BYTES], len(value), digest, reason, passed_over)


def bad_record(record: ConsumerRecord, reason: str, *, passed_over: bool = False) -> BadMessage:
    """A record of Kafka that cannot be used."""
    key, value = (record.key or b"").decode(errors="backslashreplace"), record.value or b""
    return BadMessage.of(record.topic, record.partition, record.offset, key, value, reason, passed_over=passed_over)


@dataclass(frozen=True, slots=True)
class Row:
    """A message that was set aside. `payload` are its first `KEPT_BYTES`; `size` is that of all of it."""

    id: int
    reader: str
    topic: str
    partition: int
    log_offset: int
    key: str
    reason: str
    payload: bytes
    size: int
    sha256: bytes
    passed_over: bool
    set_aside_at: datetime

    @property
    def whole(self) -> bool:
        """Whether all of the message was kept."""
        return len(self.payload) == self.size


#: Writes messages down before their reader goes on. Raises `Retryable`: then they are not, and it must not go on.
SetAside = Callable[[Sequence[BadMessage]], Awaitable[None]]


def into(pool: asyncpg.Pool, reader: str) -> SetAside:
    """Sets aside what a reader cannot read, in the database of the pool."""

    async def add(bad: Sequence[BadMessage]) -> None:
        async with session(pool) as connection:
            await set_aside(connection, reader, bad)

    return add


async def set_aside(connection: asyncpg.Connection, reader: str, bad: Sequence[BadMessage]) -> None:
    """Write messages down, on the caller's transaction if there is one. One that was set aside before stays one row.

    A reader has `KEPT_ROWS` at most: those that are done, then older ones, are dropped here and now, for a flood waits
    for no housekeeping.
    """
    if not bad:
        return
    SET_ASIDE.labels(reader).inc(len(bad))
    for first in range(0, len(bad), KEPT_ROWS):
        piece = bad[first : first + KEPT_ROWS]
        await connection.executemany(SQL.add, [_values(reader, one) for one in piece])
        DROPPED.labels(reader).inc(await connection.fetchval(SQL.drop_oldest, reader, KEPT_ROWS))


async def rows(connection: asyncpg.Connection, limit: int) -> list[Row]:
    """The last rows that are not done, newest first."""
    return [Row(**row) for row in await connection.fetch(SQL.rows, limit)]


async def row(connection: asyncpg.Connection, number: int) -> Row | None:
    """One row; None when there is none, or it is done."""
    found = await connection.fetchrow(SQL.row, number)
    return Row(**found) if found else None


async def finish(connection: asyncpg.Connection, number: int) -> None:
    """Mark a row as done: the message does not come back when it is read again at the same place."""
    await connection.execute(SQL.finish, number)


async def forget(connection: asyncpg.Connection, number: int) -> None:
    """Delete a row: the message at its place may be set aside again."""
    await connection.execute(SQL.forget, number)


def _values(reader: str, bad: BadMessage) -> tuple[object, ...]:
    place = (reader, bad.topic, bad.partition, bad.offset)
    return (*place, storable(bad.key), storable(bad.reason), bad.payload, bad.size, bad.sha256, bad.passed_over)


def storable(text: str) -> str:
    """The text as Postgres can hold it: no NUL, no lone surrogate, not too long."""
    return text[:KEPT_TEXT].encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
