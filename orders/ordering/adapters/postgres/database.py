"""Look after one database of orders: whose points it holds, its partitions, and what it forgets."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg

from node.clock import Clock
from node.postgres import session
from orders.messaging.postgres import delete_in_batches, forget_sent
from orders.ordering.adapters.postgres.statements import SQL
from orders.ranges import Range

#: Idempotency keys are kept for so long.
KEEP_KEYS_DAYS = 30


@dataclass(frozen=True, slots=True)
class OrderDatabase:
    """One database of orders. Every call is safe to repeat."""

    pool: asyncpg.Pool
    clock: Clock

    async def claim_range(self, own: Range) -> None:
        """Say which points the database holds, once for ever. Raises `ValueError` when it was made for others."""
        async with session(self.pool) as connection:
            await connection.execute(SQL.claim_range, own.first, own.last)
            row = await connection.fetchrow(SQL.range)
        if (row["first_point"], row["last_point"]) != (own.first, own.last):
            held = f"{row['first_point']}-{row['last_point']}"
            raise ValueError(
                f"{own.database} was made for points {held}, not {own.first}-{own.last}: see docs/orders.md"
            )

    async def make_partitions(self) -> None:
        """Make the partitions of last month, this month and the next two. Raises `Retryable`."""
        async with session(self.pool) as connection:
            await connection.execute(SQL.make_partitions, datetime.fromtimestamp(self.clock.wall_ms() / 1000, UTC))

    async def forget(self) -> None:
        """Delete sent messages, idempotency keys (a client that repeats one after so long places a new order), and who
        was sent again, a day after there was reason to. Raises `Retryable`.
        """
        await forget_sent(self.pool)
        await delete_in_batches(self.pool, SQL.forget_sent_again)
        await delete_in_batches(self.pool, SQL.forget_keys, KEEP_KEYS_DAYS)
