"""The index of the last seven days, made anew each night.

"The last seven days" cannot be a partial index: its predicate must be constant. So it is one with a constant date, on
the partitions it touches, and each day another takes its place: made beside the traffic (`concurrently`), then the one
before is dropped. What a process that died in the middle left behind, the next run clears away.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import asyncpg

from node import postgres
from node.clock import Clock
from node.postgres import statements

SQL = statements(__file__)

DAYS = 7
#: An index that waits for longer, because somebody holds a transaction open, is left for the next time; wall seconds.
_TIMEOUT_S = 900.0


@dataclass(frozen=True, slots=True)
class RecentIndex:
    """The index of one database."""

    url: str
    clock: Clock

    async def renew(self) -> list[str]:
        """Brings it to today, unless it is, or another process does so just now. Returns the indexes that it made."""
        today = datetime.fromtimestamp(self.clock.wall_ms() / 1000, UTC).date()
        # Making an index takes longer than a query may, and is not done within a transaction.
        async with postgres.connection(self.url, command_timeout_s=_TIMEOUT_S) as connection:
            if not await connection.fetchval(SQL.alone):
                return []
            return await _renew(connection, today - timedelta(days=DAYS), today)


async def _renew(connection: asyncpg.Connection, since: date, today: date) -> list[str]:
    wanted = {index_name(partition, since): partition for partition in _partitions(since, today)}
    there = await connection.fetch(SQL.indexes)
    good = {row["name"] for row in there if row["valid"]}
    for row in there:
        if not row["valid"]:
            await connection.execute(f"drop index concurrently if exists {row['name']}")
    made = [name for name in wanted if name not in good]
    for name in made:
        await connection.execute(
            f"create index concurrently {name} on {wanted[name]} (city, created_at) where created_at >= '{since}Z'"
        )
    for name in good - wanted.keys():
        await connection.execute(f"drop index concurrently if exists {name}")
    return made


def index_name(partition: str, since: date) -> str:
    """`orders_2026_11_recent_20261116`."""
    return f"{partition}_recent_{since:%Y%m%d}"


def _partitions(since: date, today: date) -> list[str]:
    """The months that the days touch: one or two."""
    return sorted({f"orders_{day:%Y_%m}" for day in (since, today)})
