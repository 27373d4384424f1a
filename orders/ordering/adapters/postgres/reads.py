"""Read orders from one database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg

from node.postgres import session
from orders.model import Order, OrderId, UserId
from orders.ordering.adapters.postgres.rows import created_at, order_of
from orders.ordering.adapters.postgres.statements import SQL
from orders.ordering.ports import Page

_NEWEST = (datetime.max.replace(tzinfo=UTC), OrderId("ffffffff-ffff-ffff-ffff-ffffffffffff"))


@dataclass(frozen=True, slots=True)
class PostgresReads:
    """`OrderReads` of the rows, as last committed on the server of the pool: a primary or a replica."""

    pool: asyncpg.Pool

    async def get(self, order_id: OrderId) -> Order | None:
        async with session(self.pool) as connection:
            row = await connection.fetchrow(SQL.get, order_id, created_at(order_id))
        return order_of(row) if row else None

    async def page(self, user_id: UserId, before: OrderId | None, limit: int) -> Page:
        newest = (created_at(before), before) if before else _NEWEST
        async with session(self.pool) as connection:
            rows = await connection.fetch(SQL.list, user_id, *newest, limit + 1)
        return Page.of([order_of(row) for row in rows], limit)
