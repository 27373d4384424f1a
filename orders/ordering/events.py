"""What orders tell the others. `adapters.codec` turns these into messages."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from orders.model import Order


class Fact(StrEnum):
    """What an event on order.events says."""

    PLACED = "PLACED"
    ACCEPTED = "ACCEPTED"
    DELIVERED = "DELIVERED"
    CANCELLED = "CANCELLED"
    COMPLETED = "COMPLETED"


@dataclass(frozen=True, slots=True)
class OrderFact:
    """An event of order.events; `order` as it was after it, whose `events` is the event's version."""

    order: Order
    fact: Fact
    at_ms: int
    reason: str = ""
    payment_token: str = ""


@dataclass(frozen=True, slots=True)
class Opened:
    """To dispatch, on city.events: the order is paid for and cooking; it is yours now."""

    order: Order


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """To dispatch, on city.events: forget the order."""

    order: Order
    reason: str


@dataclass(frozen=True, slots=True)
class ReadyChanged:
    """To dispatch, on city.events: the food is, or will be, ready at another time than was said before."""

    order: Order


Event = OrderFact | Opened | Withdrawn | ReadyChanged


@dataclass(frozen=True, slots=True)
class Change:
    """An order after a change, and what to tell about it. Both are stored in one transaction."""

    order: Order
    events: tuple[Event, ...] = ()
