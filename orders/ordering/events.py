"""Events that orders send to payments and dispatch, as values. `adapters.codec` makes messages of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from orders.model import Order


class Fact(StrEnum):
    """The kind of an event of order.events."""

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
    """Sent to dispatch on city.events: the order is paid for and cooking, dispatch has to bring it."""

    order: Order


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Sent to dispatch on city.events: the order is cancelled, dispatch has to forget it."""

    order: Order
    reason: str


@dataclass(frozen=True, slots=True)
class ReadyChanged:
    """Sent to dispatch on city.events: the food is, or will be, ready at another time than was sent before."""

    order: Order


Event = OrderFact | Opened | Withdrawn | ReadyChanged


@dataclass(frozen=True, slots=True)
class Change:
    """An order after a change, and the events to send about it. Both are stored in one transaction."""

    order: Order
    events: tuple[Event, ...] = ()
