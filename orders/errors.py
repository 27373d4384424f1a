"""The error that every part of orders may raise."""

from __future__ import annotations

from node.errors import NotFound
from orders.model import OrderId


class UnknownOrder(NotFound):
    """There is no such order, or it is another user's."""

    def __init__(self, order_id: OrderId) -> None:
        super().__init__(f"no order {order_id}", reason="UNKNOWN_ORDER")
