"""Find the orders of one database that wait too long."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import asyncpg

from node.postgres import session
from orders.model import OrderId, Status
from orders.ordering.adapters.postgres.statements import SQL


@dataclass(frozen=True, slots=True)
class PostgresStuckOrders:
    """`StuckOrders` of one database. `wrote` is called when messages are to be sent again."""

    pool: asyncpg.Pool
    wrote: Callable[[], None]

    async def stuck(self, status: Status, older_than_s: float, limit: int) -> list[OrderId]:
        async with session(self.pool) as connection:
            rows = await connection.fetch(SQL.stuck, status, older_than_s, limit)
        return [OrderId(row["order_id"]) for row in rows]

    async def count_stuck(self, status: Status, older_than_s: float) -> int:
        async with session(self.pool) as connection:
            count: int = await connection.fetchval(SQL.count_stuck, status, older_than_s)
        return count

    async def send_again(self, status: Status, older_than_s: float, limit: int) -> int:
        async with session(self.pool) as connection:
            orders: int = await connection.fetchval(SQL.send_again, status, older_than_s, limit)
        if orders:
            self.wrote()
        return orders
