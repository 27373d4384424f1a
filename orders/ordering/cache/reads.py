"""Read orders through the cache of recent ones, and keep the cache true to what is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orders.model import Order, OrderId, UserId
from orders.ordering.cache.ports import RecentOrders
from orders.ordering.observers import WriteObserver
from orders.ordering.ports import OrderReads, Page


@dataclass(frozen=True, slots=True)
class CachedReads:
    """`OrderReads` that look for single orders in the cache first. Lists are not cached."""

    reads: OrderReads
    recent: RecentOrders

    async def get(self, order_id: OrderId) -> Order | None:
        order = await self.recent.find(order_id)
        if order is None:
            order = await self.reads.get(order_id)
            if order is not None:
                await self.recent.keep(order)
        return order

    async def page(self, user_id: UserId, before: OrderId | None, limit: int) -> Page:
        return await self.reads.page(user_id, before, limit)


@dataclass(frozen=True, slots=True)
class CacheInvalidation(WriteObserver):
    """Invalidates what the cache has of a changed order, before its writer goes on; after a change of unknown outcome
    everything. A placed order is new: the cache has nothing of it.
    """

    recent: RecentOrders

    async def changed(self, order: Order) -> None:
        await self.recent.changed([(order.order_id, order.version)])

    async def received(self, orders: Sequence[Order]) -> None:
        await self.recent.changed([(order.order_id, order.version) for order in orders])

    def outcome_unknown(self) -> None:
        self.recent.distrust()
