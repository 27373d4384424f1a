"""What can go wrong with an order."""

from __future__ import annotations

from node.errors import Conflict, NotFound, Rejected
from orders.model import OrderId, Status


class UnknownOrder(NotFound):
    """There is no such order, or it is another user's."""

    def __init__(self, order_id: OrderId) -> None:
        super().__init__(f"no order {order_id}", reason="UNKNOWN_ORDER")


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
