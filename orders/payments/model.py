"""Payments as values. Money is integer minor units."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from orders.model import OrderId


class PaymentStatus(StrEnum):
    """What has become of the money."""

    PENDING = "PENDING"
    AUTHORISED = "AUTHORISED"
    DECLINED = "DECLINED"
    CAPTURED = "CAPTURED"
    VOIDED = "VOIDED"
    REFUNDED = "REFUNDED"


class Goal(StrEnum):
    """What orders want to become of it."""

    AUTHORISED = "AUTHORISED"
    CAPTURED = "CAPTURED"
    CANCELLED = "CANCELLED"


class Action(StrEnum):
    """What the provider is asked to do."""

    AUTHORISE = "AUTHORISE"
    CAPTURE = "CAPTURE"
    VOID = "VOID"
    REFUND = "REFUND"


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units of an ISO 4217 currency."""

    minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class Payment:
    """The payment of one order. `attempts` counts calls to the provider since the last change of status."""

    order_id: OrderId
    amount: Money
    token: str
    status: PaymentStatus = PaymentStatus.PENDING
    goal: Goal = Goal.AUTHORISED
    #: The provider's own id; empty until it was authorised.
    provider_ref: str = ""
    #: Version of the last event told, 0 before the first.
    version: int = 0
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the provider said: done, under its id, or refused with its word for why."""

    approved: bool
    provider_ref: str = ""
    reason: str = ""


def key_of(order_id: OrderId, action: Action) -> str:
    """The idempotency key of an action: the same however often it is tried."""
    return f"{order_id}:{action.lower()}"
