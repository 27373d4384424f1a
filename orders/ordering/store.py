"""The orders of one database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from orders.errors import UnknownOrder
from orders.model import Order, OrderId
from orders.ordering.errors import OrderArchived
from orders.ordering.events import Change
from orders.ordering.ports import OrderDecisions, OrderReads, StuckOrders


@dataclass(frozen=True, slots=True)
class OrderStore:
    """The three ports of one database. `reads` may be decorated, the others never are."""

    reads: OrderReads
    decisions: OrderDecisions
    stuck: StuckOrders

    async def change(self, order_id: OrderId, decide: Callable[[Order], Change]) -> Order:
        """Change an order on behalf of somebody who is told the result. What `decide` raises is raised.

        Raises `UnknownOrder` when it is nowhere, and `OrderArchived` when it has no row any more and `decide` would
        change it; a decision that changes nothing gets the archived order.
        """
        changed = await self.decisions.change(order_id, decide)
        if changed is not None:
            return changed
        archived = await self.reads.get(order_id)
        if archived is None:
            raise UnknownOrder(order_id)
        if decide(archived).order != archived:
            raise OrderArchived(order_id)
        return archived
