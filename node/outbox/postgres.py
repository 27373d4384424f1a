"""An outbox in Postgres: `add` works on the caller's transaction, a `PostgresOutbox` in transactions of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import asyncpg

from node.outbox.message import Message, Send
from node.outbox.metrics import LAG_MS
from node.postgres import session, statements
from node.set_aside import UNSENT, BadMessage, set_aside

SQL = statements(__file__)

#: As which reader messages are set aside that the broker will never take.
READER = "relay"


async def add(connection: asyncpg.Connection, messages: Iterable[Message]) -> None:
    """Write messages, on the transaction of what they tell."""
    rows = [(m.event_id, m.key, m.topic, m.city, m.payload) for m in messages]
    if rows:
        await connection.executemany(SQL.add, rows)


async def send_again(connection: asyncpg.Connection, keys: Sequence[str]) -> None:
    """Have all messages of these keys that are still kept sent once more."""
    if keys:
        await connection.execute(SQL.send_again, list(keys))


@dataclass(frozen=True, slots=True)
class PostgresOutbox:
    """`Outbox` of one database; with a city, of that city's messages, and its owner is the one to relay them.

    Without a city a claim holds a connection for as long as the broker takes: give each such relay a pool of its own.
    """

    pool: asyncpg.Pool
    city: str = ""

    async def relay(self, limit: int, send: Send) -> int:
        """See `Outbox`."""
        return await (self._relay_city(limit, send) if self.city else self._relay_keys(limit, send))

    async def _relay_keys(self, limit: int, send: Send) -> int:
        """The claim lives as long as the transaction: when this process dies, it is given up."""
        async with session(self.pool) as connection, connection.transaction():
            keys = await connection.fetch(SQL.claim_keys, limit)
            if not keys:
                return 0
            rows = await connection.fetch(SQL.unsent_of_keys, [row["key"] for row in keys])
            # Until the end nobody can say that the log is another one (`log_is`): or what the old log took would be
            # marked as sent after all was to be sent again, and be lost.
            await connection.execute(SQL.hold_log, self.city)
            await self._mark(connection, rows, await send([_message(row) for row in rows]))
        return len(rows)

    async def _relay_city(self, limit: int, send: Send) -> int:
        """No claim: a city has one owner. While the broker answers no connection is held; if the log was said to be
        another one meanwhile, all of them are to be sent again, and none is marked.
        """
        async with session(self.pool) as connection:
            log = await connection.fetchval(SQL.log, self.city)
            rows = await connection.fetch(SQL.unsent_of_city, self.city, limit)
        if not rows:
            return 0
        refused = await send([_message(row) for row in rows])
        async with session(self.pool) as connection, connection.transaction():
            if await connection.fetchval(SQL.log_for_share, self.city) == log:
                await self._mark(connection, rows, refused)
        return len(rows)

    async def _mark(
        self, connection: asyncpg.Connection, rows: Sequence[asyncpg.Record], refused: Mapping[int, str]
    ) -> None:
        """Mark messages as sent, those set aside that were refused."""
        await set_aside(connection, READER, [_unsent(rows[n], reason) for n, reason in refused.items()])
        sent = await connection.fetch(SQL.mark_sent, [row["key"] for row in rows], [row["id"] for row in rows])
        lag_ms = LAG_MS.labels(self.city)
        for row in sent:
            lag_ms.observe(row["lag_ms"])

    async def log_is(self, incarnation: str) -> int:
        """See `Outbox`."""
        async with session(self.pool) as connection, connection.transaction():
            known = await connection.fetchval(SQL.log_for_update, self.city)
            if known == incarnation:
                return 0
            await connection.execute(SQL.set_log, self.city, incarnation)
            if known is None:
                return 0
            done: str = await connection.execute(SQL.send_last_day_again, self.city)
            return int(done.removeprefix("UPDATE "))

    async def forget_sent(self, most: int) -> int:
        """Delete up to so many messages, of all cities, that were sent more than a day ago; how many. Until then a
        broker that lost its log can have them again.
        """
        async with session(self.pool) as connection:
            done: str = await connection.execute(SQL.forget_sent, most)
        return int(done.removeprefix("DELETE "))


def _unsent(row: asyncpg.Record, reason: str) -> BadMessage:
    return BadMessage.of(row["topic"], UNSENT, row["id"], row["key"], row["payload"], reason)


def _message(row: asyncpg.Record) -> Message:
    return Message(row["event_id"], row["key"], row["topic"], row["payload"], row["city"])
