"""Recent orders in memory, for tests and one process; the same promises."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from orders.model import Order, OrderId


class MemoryRecent:
    """`RecentOrders` of one process; entries have no age."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._entries: OrderedDict[OrderId, tuple[int, Order | None]] = OrderedDict()

    async def find(self, order_id: OrderId) -> Order | None:
        _, order = self._entries.get(order_id, (0, None))
        if order is not None:
            self._entries.move_to_end(order_id)
        return order

    async def keep(self, order: Order) -> None:
        self._put(order.order_id, order.version, order)

    async def changed(self, orders: Sequence[tuple[OrderId, int]]) -> None:
        for order_id, version in orders:
            self._put(order_id, version, None)

    def distrust(self) -> None:
        self._entries.clear()

    def _put(self, order_id: OrderId, version: int, order: Order | None) -> None:
        at, known = self._entries.get(order_id, (0, None))
        if at < version or (at == version and known is None):
            self._entries[order_id] = version, order
            self._entries.move_to_end(order_id)
        while len(self._entries) > self._most:
            self._entries.popitem(last=False)
