"""Values of a watched order. Positions in 1e-7 degrees, times in domain milliseconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, NewType

OrderId = NewType("OrderId", str)
City = NewType("City", str)

#: Statuses after which a rider is not shown any more and the socket is closed.
FINAL = frozenset({"delivered", "completed", "cancelled", "declined", "failed"})
#: Statuses that only the orders service can tell.
BEFORE_DISPATCH = frozenset({"placed", "authorised", "accepted"})
#: The only status in which a customer sees exactly where the rider is.
EXACT = "picked_up"


@dataclass(frozen=True, slots=True)
class Place:
    lat_e7: int
    lng_e7: int


@dataclass(frozen=True, slots=True)
class StatusEvent:
    """A step of the order. `seq` counts dispatch's events; 0 for the steps before dispatch knew the order."""

    seq: int
    status: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class OrderFacts:
    """Facts about an order from the orders service."""

    order_id: OrderId
    user_id: str
    city: City
    status: str
    history: tuple[StatusEvent, ...]
    restaurant_name: str
    restaurant: Place
    dropoff: Place
    promised_ms: int
    eta_ms: int


@dataclass(frozen=True, slots=True)
class Stop:
    """A stop of the rider's plan. `kind` is pickup or dropoff."""

    kind: str
    order_ids: tuple[str, ...]
    at: Place
    eta_ms: int


@dataclass(frozen=True, slots=True)
class RiderFix:
    """A rider's last known position as the owner of the city tells it."""

    at: Place
    ts_ms: int


@dataclass(frozen=True, slots=True)
class Track:
    """Track of an order from dispatch: committed state, and the events after the number that was asked for."""

    status: str
    events: tuple[StatusEvent, ...]
    epoch: int
    rider: RiderFix | None
    eta_ms: int
    eta_p90_ms: int
    stops: tuple[Stop, ...]


class LiveFix(NamedTuple):
    """A position from the live channel; a tuple, because there are tens of thousands a second."""

    order_id: str
    rider_id: int
    lat_e7: int
    lng_e7: int
    ts_ms: int
    session: int
    seq: int
    heading_cdeg: int
    eta_ms: int
    picked_up: bool


@dataclass(frozen=True, slots=True)
class CityFrame:
    """The whole city at a moment, already encoded for the sockets, and its place in time."""

    city: City
    epoch: int
    tick: int
    frame: bytes
