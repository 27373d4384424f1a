"""An outbox in Postgres: `add` works on the caller's transaction, a `PostgresOutbox` in transactions of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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

    A claim holds a connection while it sends: the pool must not be one that somebody needs for deciding.
    """

    pool: asyncpg.Pool
    city: str = ""

    async def relay(self, limit: int, send: Send) -> int:
        """See `Outbox`. The claim lives as long as the transaction: when this process dies, it is given up."""
        async with session(self.pool) as connection, connection.transaction():
            rows = await self._claim(connection, limit)
            if not rows:
                return 0
            # Until the end nobody can say that the log is another one (`log_is`): or what the old log took would be
            # marked as sent after all was to be sent again, and be lost.
            await connection.execute(SQL.hold_log, self.city)
            refused = await send([_message(row) for row in rows])
            await set_aside(connection, READER, [_unsent(rows[n], reason) for n, reason in refused.items()])
            ids = [row["key"] for row in rows], [row["id"] for row in rows]
            sent = await connection.fetch(SQL.mark_sent, *ids)
        lag_ms = LAG_MS.labels(self.city)
        for row in sent:
            lag_ms.observe(row["lag_ms"])
        return len(rows)

    async def _claim(self, connection: asyncpg.Connection, limit: int) -> Sequence[asyncpg.Record]:
        if self.city:
            return list(await connection.fetch(SQL.unsent_of_city, self.city, limit))
        keys = await connection.fetch(SQL.claim_keys, limit)
        return list(await connection.fetch(SQL.unsent_of_keys, [row["key"] for row in keys])) if keys else []

    async def log_is(self, incarnation: str) -> int:
        """See `Outbox`."""
        async with session(self.pool) as connection, connection.transaction():
            known = await connection.fetchval(SQL.log, self.city)
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
    return BadMessage(row["topic"], UNSENT, row["id"], row["key"], row["payload"], reason)


def _message(row: asyncpg.Record) -> Message:
    return Message(row["event_id"], row["key"], row["topic"], row["payload"], row["city"])
