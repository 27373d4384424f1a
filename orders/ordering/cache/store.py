"""An order store with recent orders in front of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from node.errors import FornoError, Retryable
from orders.messaging.message import Offset
from orders.model import Order, OrderId, Status, UserId
from orders.ordering.cache.ports import RecentOrders
from orders.ordering.events import Change
from orders.ordering.hearing import Absorbed, Heard
from orders.ordering.ports import IdempotencyKey, OrderStore, Page, Placement


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

    async def page(self, user_id: UserId, before: OrderId | None, limit: int) -> Page:
        return await self.store.page(user_id, before, limit)

    async def change(self, order_id: OrderId, decide: Callable[[Order], Change]) -> Order | None:
        with self._watched():
            order = await self.store.change(order_id, decide)
            if order is not None:
                await self.recent.changed([(order_id, order.version)])
        return order

    async def absorb(self, heard: Sequence[Heard], offsets: Sequence[Offset]) -> Absorbed:
        with self._watched():
            absorbed = await self.store.absorb(heard, offsets)
            await self.recent.changed([(order.order_id, order.version) for order in absorbed.changed])
        return absorbed

    async def stuck(self, status: Status, older_than_s: float, limit: int) -> list[OrderId]:
        return await self.store.stuck(status, older_than_s, limit)

    async def count_stuck(self, status: Status, older_than_s: float) -> int:
        return await self.store.count_stuck(status, older_than_s)

    async def tell_again(self, status: Status, older_than_s: float, limit: int) -> int:
        return await self.store.tell_again(status, older_than_s, limit)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Who is cancelled, or loses the database, in the middle of a change cannot say whether it was committed."""
        try:
            yield
        except BaseException as error:
            # A refusal is none: it comes before anything is written.
            if not isinstance(error, FornoError) or isinstance(error, Retryable):
                self.recent.doubt()
            raise
