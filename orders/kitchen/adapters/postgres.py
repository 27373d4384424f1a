"""Kitchens in the databases of the orders.

Orders live where their customers do, so a kitchen's orders are in every database; what it chose for itself lives in the
one that holds the shard point of its `restaurant_id`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg
import structlog

from node.clock import Clock
from node.errors import Retryable
from node.postgres import session, statements
from orders.kitchen.model import CookedOrder, Kitchen
from orders.model import Order, UserId
from orders.ordering.adapters.postgres.rows import order_of
from orders.ranges import ByRange

SQL = statements(__file__)

#: A pace is learned from this much of the past.
_PAST = timedelta(weeks=8)
#: A database that does not answer within so many wall seconds is left out.
ANSWER_S = 2.0


@dataclass(frozen=True, slots=True)
class PostgresKitchens:
    """`KitchenStore` on all databases."""

    pools: ByRange[asyncpg.Pool]
    clock: Clock
    log: structlog.stdlib.BoundLogger

    async def tickets(self, kitchen: Kitchen, limit: int) -> list[Order]:
        rows = await self._everywhere(SQL.tickets, kitchen.restaurant_id, kitchen.city, limit)
        return sorted(map(order_of, rows), key=lambda order: order.order_id)[:limit]

    async def auto_accept(self, kitchen: Kitchen) -> bool | None:
        async with session(self._own(kitchen)) as connection:
            chosen: bool | None = await connection.fetchval(SQL.auto_accept, kitchen.city, kitchen.restaurant_id)
        return chosen

    async def choose_auto_accept(self, kitchen: Kitchen, auto_accept: bool) -> None:
        async with session(self._own(kitchen)) as connection:
            await connection.execute(SQL.choose, kitchen.city, kitchen.restaurant_id, auto_accept)

    async def cooked(self, kitchen: Kitchen, limit: int) -> Sequence[CookedOrder]:
        since = datetime.fromtimestamp(self.clock.wall_ms() / 1000, UTC) - _PAST
        rows = await self._everywhere(SQL.cooked, kitchen.restaurant_id, kitchen.city, since, limit)
        cooked = [CookedOrder(row["said_s"], row["accepted_ms"], row["cooked_ms"]) for row in rows]
        return sorted(cooked, key=lambda order: order.cooked_ms, reverse=True)[:limit]

    def _own(self, kitchen: Kitchen) -> asyncpg.Pool:
        return self.pools.of_user(UserId(kitchen.restaurant_id))

    async def _everywhere(self, query: str, *args: object) -> list[asyncpg.Record]:
        """The rows of all databases that answer soon: a kitchen goes on with the orders that can be seen. Raises
        `Retryable` when none does.
        """
        parts = await asyncio.gather(
            *(self._rows(pool, query, *args) for pool in self.pools.parts.values()), return_exceptions=True
        )
        away = [part for part in parts if isinstance(part, BaseException)]
        for error in away:
            if len(away) == len(parts) or not isinstance(error, Retryable):
                raise error
            self.log.warning("kitchens without one database", error=str(error))
        return [row for part in parts if not isinstance(part, BaseException) for row in part]

    async def _rows(self, pool: asyncpg.Pool, query: str, *args: object) -> list[asyncpg.Record]:
        async with session(pool, ANSWER_S) as connection:
            rows: list[asyncpg.Record] = await connection.fetch(query, *args)
        return rows
