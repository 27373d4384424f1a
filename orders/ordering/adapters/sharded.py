"""Many stores as one: the range map says which of them holds what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from orders.model import Order, OrderId, UserId
from orders.ordering.events import Change
from orders.ordering.ports import IdempotencyKey, Orders, Page, Placement
from orders.ranges import RangeMap


@dataclass(frozen=True, slots=True)
class ShardedOrders:
    """Sends each call to the store of its user or order."""

    ranges: RangeMap
    stores: Mapping[str, Orders]

    async def place(self, change: Change, key: IdempotencyKey) -> Placement:
        return await self.stores[self.ranges.of_user(change.order.user_id)].place(change, key)

    async def get(self, order_id: OrderId) -> Order | None:
        return await self._of(order_id).get(order_id)

    async def page(self, user_id: UserId, before: OrderId | None, limit: int) -> Page:
        return await self.stores[self.ranges.of_user(user_id)].page(user_id, before, limit)

    async def change(self, order_id: OrderId, decide: Callable[[Order], Change]) -> Order | None:
        return await self._of(order_id).change(order_id, decide)

    def _of(self, order_id: OrderId) -> Orders:
        return self.stores[self.ranges.of_order(order_id)]
