"""Many stores as one: the range map says which of them holds what."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from orders.events import Change
from orders.hearing import Absorbed, Heard
from orders.messaging.message import Offset
from orders.model import Order, OrderId, Status, UserId
from orders.ports import IdempotencyKey, OrderStore, Placement
from orders.ranges import RangeMap


@dataclass(frozen=True, slots=True)
class ShardedOrders:
    """Sends each call to the store of its user or order."""

    ranges: RangeMap
    stores: Mapping[str, OrderStore]

    async def place(self, change: Change, key: IdempotencyKey) -> Placement:
        return await self.stores[self.ranges.of_user(change.order.user_id)].place(change, key)

    async def get(self, order_id: OrderId) -> Order | None:
        return await self._of(order_id).get(order_id)

    async def page(self, user_id: UserId, before: OrderId | None, limit: int) -> list[Order]:
        return await self.stores[self.ranges.of_user(user_id)].page(user_id, before, limit)

    async def change(self, order_id: OrderId, decide: Callable[[Order], Change]) -> Order | None:
        return await self._of(order_id).change(order_id, decide)

    async def absorb(self, heard: Sequence[Heard], offsets: Sequence[Offset]) -> Absorbed:
        """Each store keeps its part and all offsets; when one fails the batch is read again, and the others drop it."""
        parts: dict[str, list[Heard]] = defaultdict(list)
        for event in heard:
            parts[self.ranges.of_order(event.order_id)].append(event)
        done = await asyncio.gather(*(store.absorb(parts[name], offsets) for name, store in self.stores.items()))
        return sum(done, Absorbed())

    async def stuck(self, status: Status, older_than_s: float, limit: int) -> list[OrderId]:
        found = await asyncio.gather(*(store.stuck(status, older_than_s, limit) for store in self.stores.values()))
        return [order_id for part in found for order_id in part]

    async def tell_again(self, orders: Iterable[OrderId], pause_s: float) -> int:
        parts: dict[str, list[OrderId]] = defaultdict(list)
        for order_id in orders:
            parts[self.ranges.of_order(order_id)].append(order_id)
        told = await asyncio.gather(*(self.stores[name].tell_again(part, pause_s) for name, part in parts.items()))
        return sum(told)

    def _of(self, order_id: OrderId) -> OrderStore:
        return self.stores[self.ranges.of_order(order_id)]
