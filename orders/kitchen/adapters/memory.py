"""Kitchens over orders in memory, for tests."""

from __future__ import annotations

from dataclasses import dataclass, field

from orders.kitchen.model import AT_KITCHEN, CookedOrder, Kitchen
from orders.model import Order
from orders.ordering.adapters.memory import MemoryOrders, _accepted_ms


@dataclass(slots=True)
class MemoryKitchens:
    """Kitchens of the orders in memory."""

    orders: MemoryOrders
    chosen: dict[Kitchen, bool] = field(default_factory=dict)

    async def tickets(self, kitchen: Kitchen, limit: int) -> list[Order]:
        return [order for order in self._of(kitchen) if order.status in AT_KITCHEN][:limit]

    async def auto_accept(self, kitchen: Kitchen) -> bool | None:
        return self.chosen.get(kitchen)

    async def choose_auto_accept(self, kitchen: Kitchen, auto_accept: bool) -> None:
        self.chosen[kitchen] = auto_accept

    async def cooked(self, kitchen: Kitchen, limit: int) -> list[CookedOrder]:
        cooked = sorted((order for order in self._of(kitchen) if order.cooked_ms), key=lambda order: -order.cooked_ms)
        return [CookedOrder(o.basket.restaurant.preparation_s, _accepted_ms(o), o.cooked_ms) for o in cooked[:limit]]

    def _of(self, kitchen: Kitchen) -> list[Order]:
        def mine(order: Order) -> bool:
            return Kitchen(order.basket.city, order.basket.restaurant.restaurant_id) == kitchen

        return list(filter(mine, self.orders.all()))
