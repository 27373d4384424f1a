"""A store whose old months are in the archive: reads go on into the files, and what is there changes no more."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import date

import asyncpg
import orjson

from orders.archive.archiver import SQL
from orders.archive.cold import ArchivedMonth, ColdOrders, month_of
from orders.archive.errors import OrderArchived
from orders.archive.files import ArchivedFile
from orders.events import Change
from orders.hearing import Absorbed, Heard
from orders.messaging.message import Offset
from orders.messaging.postgres import retryable
from orders.model import Order, OrderId, Status, UserId
from orders.ports import IdempotencyKey, OrderStore, Placement

_LAST = date.max


@dataclass(frozen=True, slots=True)
class ArchivedOrders:
    """An `OrderStore` upon the rows of one database and its archive."""

    hot: OrderStore
    pool: asyncpg.Pool
    cold: ColdOrders

    async def place(self, change: Change, key: IdempotencyKey) -> Placement:
        return await self.hot.place(change, key)

    async def get(self, order_id: OrderId) -> Order | None:
        # The rows first: a month that is dropped meanwhile is then found among the archived.
        return await self.hot.get(order_id) or await self._archived(order_id)

    async def page(self, user_id: UserId, before: OrderId | None, limit: int) -> list[Order]:
        found = await self.hot.page(user_id, before, limit)
        # A month may have been left behind when a later one was archived: the page may go through both.
        oldest = month_of(found[-1].order_id) if len(found) == limit else date.min
        async for month in self._months(month_of(before) if before else _LAST):
            if month.month < oldest:
                break
            known = {order.order_id for order in found}
            cold = await self.cold.page(user_id, month, before, limit)
            found += [order for order in cold if order.order_id not in known]
            found = sorted(found, key=lambda order: order.order_id, reverse=True)[:limit]
            if len(found) == limit:
                oldest = month_of(found[-1].order_id)
        return found

    async def change(self, order_id: OrderId, decide: Callable[[Order], Change]) -> Order | None:
        changed = await self.hot.change(order_id, decide)
        if changed is not None:
            return changed
        order = await self._archived(order_id)
        if order is not None and decide(order).order != order:
            raise OrderArchived(order_id)
        return order

    async def absorb(self, heard: Sequence[Heard], offsets: Sequence[Offset]) -> Absorbed:
        return await self.hot.absorb(heard, offsets)

    async def stuck(self, status: Status, older_than_s: float, limit: int) -> list[OrderId]:
        return await self.hot.stuck(status, older_than_s, limit)

    async def count_stuck(self, status: Status, older_than_s: float) -> int:
        return await self.hot.count_stuck(status, older_than_s)

    async def tell_again(self, status: Status, older_than_s: float, limit: int) -> int:
        return await self.hot.tell_again(status, older_than_s, limit)

    async def _archived(self, order_id: OrderId) -> Order | None:
        month = month_of(order_id)
        async for archived in self._months(month):
            return await self.cold.get(order_id, archived) if archived.month == month else None
        return None

    async def _months(self, newest: date) -> AsyncIterator[ArchivedMonth]:
        """Archived months up to one, newest first."""
        with retryable():
            rows = await self.pool.fetch(SQL.archived, newest)
        for row in rows:
            yield ArchivedMonth(row["month"], [ArchivedFile(**file) for file in orjson.loads(row["files"])])
