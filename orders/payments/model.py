"""Payments as values. Money is integer minor units."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from orders.model import ActionRequired, OrderId
from orders.money import Parts


class PaymentStatus(StrEnum):
    """State of a payment."""

    PENDING = "PENDING"
    #: The customer has to authenticate.
    ACTION_REQUIRED = "ACTION_REQUIRED"
    AUTHORISED = "AUTHORISED"
    DECLINED = "DECLINED"
    #: Some of it may have been given back.
    CAPTURED = "CAPTURED"
    VOIDED = "VOIDED"
    #: All of it was given back.
    REFUNDED = "REFUNDED"


class Goal(StrEnum):
    """State of the payment that orders ask for."""

    AUTHORISED = "AUTHORISED"
    CAPTURED = "CAPTURED"
    CANCELLED = "CANCELLED"


class Action(StrEnum):
    """Action asked of the provider."""

    AUTHORISE = "AUTHORISE"
    #: Nothing is done: has the customer authenticated?
    CHECK = "CHECK"
    CAPTURE = "CAPTURE"
    VOID = "VOID"
    REFUND = "REFUND"


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units of an ISO 4217 currency."""

    minor: int
    currency: str


class RefundStatus(StrEnum):
    """State of a refund."""

    PENDING = "PENDING"
    DONE = "DONE"
    REFUSED = "REFUSED"


@dataclass(frozen=True, slots=True)
class Refund:
    """Money to be given back, once for each key of an order. `refusal` is the provider's word."""

    key: str
    minor: int
    reason: str
    status: RefundStatus = RefundStatus.PENDING
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Payment:
    """The payment of one order. `attempts` counts calls to the provider since the last change of status."""

    order_id: OrderId
    amount: Money
    token: str
    #: What the amount is made of.
    parts: Parts
    status: PaymentStatus = PaymentStatus.PENDING
    goal: Goal = Goal.AUTHORISED
    #: The provider's own id; empty until it is known.
    provider_ref: str = ""
    #: Version of the last event told, 0 before the first.
    version: int = 0
    attempts: int = 0
    refunded_minor: int = 0
    #: The oldest refund that the provider has not answered yet.
    refund: Refund | None = None

    @property
    def left_minor(self) -> int:
        """Captured amount that was not refunded."""
        return self.amount.minor - self.refunded_minor


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer of the provider: done, under its id; refused, with its word for why; or that the customer has to act."""

    approved: bool
    provider_ref: str = ""
    reason: str = ""
    action: ActionRequired | None = None


def key_of(order_id: OrderId, action: Action, refund: Refund | None = None) -> str:
    """The idempotency key of an action: the same however often it is tried."""
    return f"{order_id}:{action.lower()}" + (f":{refund.key}" if refund else "")
