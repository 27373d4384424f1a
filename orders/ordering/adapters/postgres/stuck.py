"""Find the orders of one database that wait too long."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import asyncpg

from node.postgres import classified
from orders.model import OrderId, Status
from orders.ordering.adapters.postgres.statements import SQL


@dataclass(frozen=True, slots=True)
class PostgresStuckOrders:
    """`StuckOrders` of one database. `wrote` is called when messages are to be sent again."""

    pool: asyncpg.Pool
    wrote: Callable[[], None]

    async def stuck(self, status: Status, older_than_s: float, limit: int) -> list[OrderId]:
        with classified():
            rows = await self.pool.fetch(SQL.stuck, status, older_than_s, limit)
        return [OrderId(row["order_id"]) for row in rows]

    async def count_stuck(self, status: Status, older_than_s: float) -> int:
        with classified():
            count: int = await self.pool.fetchval(SQL.count_stuck, status, older_than_s)
        return count

    async def send_again(self, status: Status, older_than_s: float, limit: int) -> int:
        with classified():
            orders: int = await self.pool.fetchval(SQL.send_again, status, older_than_s, limit)
        if orders:
            self.wrote()
        return orders
