"""Read orders from the rows of a database and from its archive as from one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

import asyncpg
import orjson

from node.postgres import session, statements
from orders.archive.files import ArchivedFile
from orders.archive.parquet_orders import MonthFiles, ParquetOrders, month_of
from orders.ids import POINTS, order_id_at
from orders.model import Order, OrderId, UserId
from orders.ordering.ports import OrderReads, Page

SQL = statements(__file__)

#: Archived months that are read for one page, at most: each is a file a city, whose statistics are read in any case.
MONTHS_A_PAGE = 3

_LAST = date.max


@dataclass(frozen=True, slots=True)
class ArchivedReads:
    """`OrderReads` of one database and its archive. Raises `Retryable` too while the archive does not answer: orders
    that have rows are read all the same.
    """

    rows: OrderReads
    pool: asyncpg.Pool
    archived: ParquetOrders

    async def get(self, order_id: OrderId) -> Order | None:
        # The rows first: a month that is dropped meanwhile is then found among the archived.
        return await self.rows.get(order_id) or await self._archived(order_id)

    async def page(self, user_id: UserId, before: OrderId | None, limit: int) -> Page:
        """Rows are served alone: the archive is opened only where there are none at the cursor, and then for
        `MONTHS_A_PAGE` months; the page may have few orders or none, its cursor leads on.
        """
        hot = await self.rows.page(user_id, before, limit)
        months = [month async for month in self._months(month_of(before) if before else _LAST)]
        if not months:
            return hot
        recent = [order for order in hot.orders if month_of(order.order_id) > months[0].month]
        if recent:
            return Page(recent, recent[-1].order_id)
        return await self._old_page(user_id, before, limit, hot, months)

    async def _old_page(
        self, user_id: UserId, before: OrderId | None, limit: int, hot: Page, months: Sequence[MonthFiles]
    ) -> Page:
        """Archived orders, and between them the rows of months that were left behind when later ones were archived."""
        cold: list[Order] = []
        for number, month in enumerate(months[:MONTHS_A_PAGE], 1):
            cold += await self.archived.page(user_id, month, before, limit + 1)
            # So far back all is known; behind the last archived month there are rows at most.
            known = month.month if number < len(months) else date.min
            rows = [order for order in hot.orders if month_of(order.order_id) >= known]
            found = {order.order_id: order for order in (*rows, *cold)}
            if len(found) > limit or (hot.next_cursor and len(rows) == len(hot.orders)):
                break
        else:
            cursor = "" if known == date.min else _last_id_before(known)
            return Page(_newest_first(found), cursor)
        orders = _newest_first(found)[:limit]
        return Page(orders, orders[-1].order_id)

    async def _archived(self, order_id: OrderId) -> Order | None:
        month = month_of(order_id)
        async for archived in self._months(month):
            return await self.archived.get(order_id, archived) if archived.month == month else None
        return None

    async def _months(self, newest: date) -> AsyncIterator[MonthFiles]:
        """Archived months up to one, newest first."""
        async with session(self.pool) as connection:
            rows = await connection.fetch(SQL.archived, newest)
        for row in rows:
            yield MonthFiles(row["month"], [ArchivedFile(**file) for file in orjson.loads(row["files"])])


def _newest_first(orders: Mapping[OrderId, Order]) -> list[Order]:
    return [orders[order_id] for order_id in sorted(orders, reverse=True)]


def _last_id_before(month: date) -> OrderId:
    """The greatest id that an order from before that month may have: a cursor at its beginning."""
    began = datetime(month.year, month.month, 1, tzinfo=UTC)
    return order_id_at(int(began.timestamp()) * 1000 - 1, POINTS - 1, 2**58 - 1)
