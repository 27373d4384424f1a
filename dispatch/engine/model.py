"""Values of the city engine: orders, riders, stops, offers.

Every value is frozen; a change is a new value. Positions are integer 1e-7 degrees, times are
integer milliseconds of the domain clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

OrderId = NewType("OrderId", str)
RiderId = NewType("RiderId", int)
RestaurantId = NewType("RestaurantId", str)
OfferId = NewType("OfferId", str)


@dataclass(frozen=True, slots=True)
class Point:
    """A place on earth in integer 1e-7 degrees."""

    lat_e7: int
    lng_e7: int


class Vehicle(StrEnum):
    """Vehicle of a rider; it decides the free-flow speed."""

    BICYCLE = "bicycle"
    MOTORBIKE = "motorbike"
    CAR = "car"


class OrderStatus(StrEnum):
    """State of an order; the engine moves it along this list."""

    OPEN = "open"
    OFFERED = "offered"
    ASSIGNED = "assigned"
    PICKED_UP = "picked_up"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"
    FAILED = "failed"


class OfferStatus(StrEnum):
    """The life of an offer; all but LIVE are ends."""

    LIVE = "live"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    EXPIRED = "expired"
    RETRACTED = "retracted"


class StopKind(StrEnum):
    """Kind of a stop."""

    PICKUP = "pickup"
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class Order:
    """One order, from `OrderOpened` to its end.

    `ready_ms` is when the kitchen says the food is ready, `promised_ms` when the customer was told
    to expect it. `rider_id` is set while the order is offered to, or held by, a rider.
    """

    order_id: OrderId
    restaurant_id: RestaurantId
    pickup: Point
    drop: Point
    placed_ms: int
    ready_ms: int
    promised_ms: int
    size: int = 1
    zone: str = ""
    status: OrderStatus = OrderStatus.OPEN
    rider_id: RiderId | None = None
    picked_up_ms: int | None = None
    ended_ms: int | None = None

    @property
    def ended(self) -> bool:
        """Whether the order is in a final state."""
        return self.status in (OrderStatus.DELIVERED, OrderStatus.CANCELLED, OrderStatus.FAILED)

    @property
    def matchable(self) -> bool:
        """The order is still to be promised to a rider."""
        return self.status is OrderStatus.OPEN


@dataclass(frozen=True, slots=True)
class Stop:
    """One stop of a rider's plan.

    A pickup stop holds all orders taken along there; a drop stop holds one. `arrive_ms`, `done_ms` and
    `leave_ms` are the engine's expectation: at the place, food handed over, on the way again.
    """

    kind: StopKind
    order_ids: tuple[OrderId, ...]
    restaurant_id: RestaurantId
    point: Point
    arrive_ms: int
    done_ms: int
    leave_ms: int


class LoanState(StrEnum):
    """State of a rider's loan as a city sees it: LENT at home; BORROWED, then RETURNED, next door."""

    LENT = "lent"
    BORROWED = "borrowed"
    RETURNED = "returned"


@dataclass(frozen=True, slots=True)
class Loan:
    """A rider of the city `home` that works for its neighbour `borrower` for a while (docs/adr/0015).

    `lent_ms` is when the neighbour asked; it grows from loan to loan of a rider. `until_ms` is the end of the shift in
    the borrower's eyes: no pickup is offered after it.
    """

    loan_id: str
    home: str
    borrower: str
    borrower_partition: int
    borrower_epoch: int
    lent_ms: int
    until_ms: int
    state: LoanState


@dataclass(frozen=True, slots=True)
class Rider:
    """A rider of the city and the plan it has accepted.

    `load` is the size of all orders in `stops`; it never exceeds `capacity`. `arrived` says that
    the rider stands at the pickup ahead. `offer_id` is the one
    live offer on the rider's screen. `rested_ms` is when the last job ended, service time included. `loan` is the loan
    under way; with the borrower the last one, when it is over. `offers_answered` counts the offers that ended by the
    rider's doing; of those it refused, or let expire, `offers_refused`. `unseen_ms` is since when a rider with
    something to do has shown no usable fix.
    """

    rider_id: RiderId
    online: bool
    shift_end_ms: int
    capacity: int
    vehicle: Vehicle
    zone: str = ""
    stops: tuple[Stop, ...] = ()
    load: int = 0
    arrived: bool = False
    offer_id: OfferId | None = None
    rested_ms: int = 0
    loan: Loan | None = None
    offers_answered: int = 0
    offers_refused: int = 0
    unseen_ms: int | None = None
    #: The city that is the rider's home by now; empty: this one.
    moved_to: str = ""

    @property
    def lent(self) -> bool:
        """The rider works for a neighbour: nothing is planned with it here."""
        return self.loan is not None and self.loan.state is LoanState.LENT

    @property
    def borrowed(self) -> bool:
        """The rider is a neighbour's and works here."""
        return self.loan is not None and self.loan.state is LoanState.BORROWED

    @property
    def returned(self) -> bool:
        """The rider is a neighbour's and has worked here."""
        return self.loan is not None and self.loan.state is LoanState.RETURNED

    @property
    def order_ids(self) -> tuple[OrderId, ...]:
        """Orders of the plan, in order of their drops."""
        return tuple(o for s in self.stops if s.kind is StopKind.DROP for o in s.order_ids)

    @property
    def free_ms(self) -> int:
        """End of the plan; for a rider without one, the end of its last."""
        return self.stops[-1].leave_ms if self.stops else self.rested_ms

    @property
    def heading(self) -> RestaurantId | None:
        """The restaurant of the stop ahead, if that is a pickup."""
        return self.stops[0].restaurant_id if self.stops and self.stops[0].kind is StopKind.PICKUP else None

    @property
    def carrying(self) -> bool:
        """Food is on board: the first stop ahead is a drop."""
        return bool(self.stops) and self.stops[0].kind is StopKind.DROP


@dataclass(frozen=True, slots=True)
class Offer:
    """Orders proposed to one rider, in the order of their drops; `restaurant_id` is where it goes first.

    `stops` is what acceptance means: with `joins` the whole new plan of a rider already on its way to
    that restaurant, else the stops that follow the rider's plan.
    """

    offer_id: OfferId
    rider_id: RiderId
    order_ids: tuple[OrderId, ...]
    made_ms: int
    expires_ms: int
    restaurant_id: RestaurantId
    stops: tuple[Stop, ...]
    joins: bool = False
    status: OfferStatus = OfferStatus.LIVE
    ended_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Cooldown:
    """The rider is not asked for this order again before `until_ms`."""

    rider_id: RiderId
    order_id: OrderId
    until_ms: int
