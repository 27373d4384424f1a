"""What the cached store needs of a cache."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from orders.model import Order, OrderId


class RecentOrders(Protocol):
    """Orders that were read not long ago. No call raises or takes longer than a moment; each may do nothing."""

    async def find(self, order_id: OrderId) -> Order | None:
        """The order, if it is here."""

    async def keep(self, order: Order) -> None:
        """Keeps what was read, unless a newer version is known: a slow reader overwrites nothing."""

    async def changed(self, orders: Sequence[tuple[OrderId, int]]) -> None:
        """These orders have come to these versions: what is here of older ones is found no more."""

    def doubt(self) -> None:
        """Orders may have changed unsaid: nothing that is here now is found any more."""
