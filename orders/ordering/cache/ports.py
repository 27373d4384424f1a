"""Port of the cache."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from orders.model import Order, OrderId


class RecentOrders(Protocol):
    """Orders that were read not long ago. No call raises or takes longer than a moment; each may do nothing."""

    async def find(self, order_id: OrderId) -> Order | None:
        """The order, if the cache has it."""

    async def keep(self, order: Order) -> None:
        """Keep what was read, unless a newer version is known: a slow reader overwrites nothing."""

    async def changed(self, orders: Sequence[tuple[OrderId, int]]) -> None:
        """Invalidate these orders up to these versions: older ones are found no more."""

    def distrust(self) -> None:
        """Invalidate everything that is cached now: orders may have changed without `changed`."""
