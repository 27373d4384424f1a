"""Inputs of the engine: events of a city, and positions as columns.

Events come in the order of the city's log. Each carries `at_ms`, the domain time at which it
happened; the engine never asks a clock.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.model import Loan, OfferId, OrderId, Point, RestaurantId, RiderId, Vehicle
from dispatch.positions import PositionSnapshot


@dataclass(frozen=True, slots=True)
class OrderOpened:
    """An order was confirmed and paid for; `size` counts against the rider's capacity."""

    at_ms: int
    order_id: OrderId
    restaurant_id: RestaurantId
    pickup: Point
    drop: Point
    placed_ms: int
    ready_ms: int
    promised_ms: int
    size: int = 1
    zone: str = ""


@dataclass(frozen=True, slots=True)
class OrderReadyChanged:
    """The kitchen has a new idea of when the food is ready."""

    at_ms: int
    order_id: OrderId
    ready_ms: int


@dataclass(frozen=True, slots=True)
class OrderCancelled:
    """The order is off; refused once the food is on board."""

    at_ms: int
    order_id: OrderId


@dataclass(frozen=True, slots=True)
class RiderOnline:
    """A rider starts, or restates its terms; `capacity` is in order sizes."""

    at_ms: int
    rider_id: RiderId
    shift_end_ms: int
    capacity: int
    vehicle: Vehicle = Vehicle.MOTORBIKE
    zone: str = ""


@dataclass(frozen=True, slots=True)
class RiderOffline:
    """The rider takes no more work; what is on board is still delivered."""

    at_ms: int
    rider_id: RiderId


@dataclass(frozen=True, slots=True)
class OfferReplied:
    """The rider's answer to an offer."""

    at_ms: int
    offer_id: OfferId
    rider_id: RiderId
    accepted: bool


@dataclass(frozen=True, slots=True)
class RiderArrived:
    """The rider stands at the pickup ahead."""

    at_ms: int
    rider_id: RiderId


@dataclass(frozen=True, slots=True)
class PickedUp:
    """The rider has these orders on board; those of its plan left behind go back to the pool."""

    at_ms: int
    rider_id: RiderId
    order_ids: tuple[OrderId, ...]


@dataclass(frozen=True, slots=True)
class Delivered:
    """The customer has the order."""

    at_ms: int
    rider_id: RiderId
    order_id: OrderId


@dataclass(frozen=True, slots=True)
class RiderLent:
    """Request to the home city: a neighbour asks for the rider. Refused unless it is online and has nothing to do."""

    at_ms: int
    rider_id: RiderId
    loan: Loan


@dataclass(frozen=True, slots=True)
class RiderBorrowed:
    """Arrival at the borrower of a neighbour's rider that was granted, as `RiderOnline` until the loan's end.

    `free_ms` is when its last job ends, service time included; maybe in some seconds only.
    """

    at_ms: int
    rider_id: RiderId
    loan: Loan
    free_ms: int
    shift_end_ms: int
    capacity: int
    vehicle: Vehicle = Vehicle.MOTORBIKE
    zone: str = ""


@dataclass(frozen=True, slots=True)
class RiderReturned:
    """End of a loan, told to the home city: the rider is free at `free_ms`."""

    at_ms: int
    rider_id: RiderId
    loan_id: str
    free_ms: int


@dataclass(frozen=True, slots=True)
class RiderMovedOut:
    """Departure of a rider to another city for good. Refused while it has something to do."""

    at_ms: int
    rider_id: RiderId
    to_city: str


@dataclass(frozen=True, slots=True)
class RiderMovedIn:
    """Arrival of a rider in its new home, after the old one granted it."""

    at_ms: int
    rider_id: RiderId


Input = (
    OrderOpened
    | OrderReadyChanged
    | OrderCancelled
    | RiderOnline
    | RiderOffline
    | OfferReplied
    | RiderArrived
    | PickedUp
    | Delivered
    | RiderLent
    | RiderBorrowed
    | RiderReturned
    | RiderMovedOut
    | RiderMovedIn
)


@dataclass(frozen=True, slots=True, eq=False)
class Positions:
    """Last positions as of the cut: one row a rider, ids distinct.

    `rider_ids` u64 (n,), `lat_e7` and `lng_e7` i32 or i64 (n,), `age_ms` i64 (n,): domain time
    since the fix.
    """

    rider_ids: NDArray[np.uint64]
    lat_e7: NDArray[np.integer]
    lng_e7: NDArray[np.integer]
    age_ms: NDArray[np.integer]

    @staticmethod
    def none() -> Positions:
        """Positions of no rider."""
        i64 = np.zeros(0, np.int64)
        return Positions(np.zeros(0, np.uint64), i64, i64, i64)

    @staticmethod
    def of(seen: PositionSnapshot) -> Positions:
        """The fresh fixes of a snapshot."""
        fixes = seen.columns
        return Positions(fixes.rider_id, fixes.lat_e7, fixes.lng_e7, seen.age_ms)
