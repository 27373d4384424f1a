"""An order store with recent orders in front of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from orders.cache.ports import RecentOrders
from orders.events import Change
from orders.hearing import Absorbed, Heard
from orders.messaging.message import Offset
from orders.model import Order, OrderId, Status, UserId
from orders.ports import IdempotencyKey, OrderStore, Placement


@dataclass(frozen=True, slots=True)
class CachedOrders:
    """Reads by id ask the cache first; what changes is made known to it after the commit. Decisions never read it."""

    store: OrderStore
    recent: RecentOrders

    async def place(self, change: Change, key: IdempotencyKey) -> Placement:
        return await self.store.place(change, key)

    async def get(self, order_id: OrderId) -> Order | None:
        order = await self.recent.find(order_id)
        if order is None:
            order = await self.store.get(order_id)
            if order is not None:
                await self.recent.keep(order)
        return order

    async def page(self, user_id: UserId, before: OrderId | None, limit: int) -> list[Order]:
        return await self.store.page(user_id, before, limit)

    async def change(self, order_id: OrderId, decide: Callable[[Order], Change]) -> Order | None:
        order = await self.store.change(order_id, decide)
        if order is not None:
            await self.recent.changed([(order_id, order.version)])
        return order

    async def absorb(self, heard: Sequence[Heard], offsets: Sequence[Offset]) -> Absorbed:
        absorbed = await self.store.absorb(heard, offsets)
        await self.recent.changed([(order.order_id, order.version) for order in absorbed.changed])
        return absorbed

    async def stuck(self, status: Status, older_than_s: float, limit: int) -> list[OrderId]:
        return await self.store.stuck(status, older_than_s, limit)

    async def tell_again(self, orders: Sequence[OrderId], pause_s: float) -> int:
        return await self.store.tell_again(orders, pause_s)
