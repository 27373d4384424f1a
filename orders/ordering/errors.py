"""Errors of existing orders."""

from __future__ import annotations

from node.errors import Conflict, Rejected
from orders.model import OrderId, Status


class KeyReused(Conflict):
    """The idempotency key has placed an order with another body."""

    def __init__(self, order_id: OrderId) -> None:
        super().__init__(
            "this idempotency key placed another order: use a new key for a new order",
            reason="IDEMPOTENCY_CONFLICT",
            details={"order_id": order_id},
        )


class TransitionRefused(Rejected):
    """The order's state does not allow it."""

    def __init__(self, status: Status, what: str, why: str) -> None:
        super().__init__(
            f"the order is {status}, it cannot {what.lower()}: {why}",
            reason="TRANSITION_REFUSED",
            details={"status": str(status)},
        )
        self.status = status


class OrderArchived(Rejected):
    """The order is in the archive and changes no more."""

    def __init__(self, order_id: OrderId) -> None:
        super().__init__(f"order {order_id} is archived: it changes no more", reason="ARCHIVED")
