"""Decide whether a refund is allowed. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from node.errors import Conflict, Invalid, Rejected
from orders.payments.model import Money, Payment, PaymentStatus, Refund, RefundStatus


def asked_before(refunds: Sequence[Refund], payment: Payment, key: str, amount: Money | None) -> Refund | None:
    """The refund that this key asked for. Raises `Conflict` if it was for another amount."""
    known = next((refund for refund in refunds if refund.key == key), None)
    if known is not None and amount is not None and amount != Money(known.minor, payment.amount.currency):
        raise Conflict("this idempotency key asked for another refund: use a new key", reason="IDEMPOTENCY_CONFLICT")
    return known


def new_refund(refunds: Sequence[Refund], payment: Payment, key: str, amount: Money | None, reason: str) -> Refund:
    """A refund of the amount, or of all that is left. Raises `Rejected` or `Invalid`: never more than was captured."""
    if payment.status not in (PaymentStatus.CAPTURED, PaymentStatus.REFUNDED):
        raise Rejected(
            f"the payment is {payment.status}: only captured money can be given back",
            reason="NOT_CAPTURED",
            details={"status": str(payment.status)},
        )
    if amount is not None and amount.currency != payment.amount.currency:
        raise Invalid("amount", f"the payment is in {payment.amount.currency}", reason="CURRENCY_MISMATCH")
    pending = sum(refund.minor for refund in refunds if refund.status is RefundStatus.PENDING)
    left = payment.left_minor - pending
    if left == 0 or (amount is not None and amount.minor > left):
        raise Rejected(
            f"{left} minor units are left of what was captured",
            reason="REFUND_TOO_LARGE",
            details={"left_minor": str(left)},
        )
    return Refund(key, left if amount is None else amount.minor, reason)
