"""Orders as values. Money is integer minor units of one currency; times are domain milliseconds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

#: UUIDv7 in its canonical form; see `ids`.
OrderId = NewType("OrderId", str)
UserId = NewType("UserId", str)


class Status(StrEnum):
    """State of an order. `transitions` says how it gets from one to the next."""

    PLACED = "PLACED"
    AUTHORISED = "AUTHORISED"
    ACCEPTED = "ACCEPTED"
    ASSIGNED = "ASSIGNED"
    PICKED_UP = "PICKED_UP"
    DELIVERED = "DELIVERED"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    DECLINED = "DECLINED"
    FAILED = "FAILED"


FINAL = frozenset({Status.COMPLETED, Status.CANCELLED, Status.DECLINED, Status.FAILED})


@dataclass(frozen=True, slots=True)
class Position:
    """A place on earth in 1e-7 degrees, WGS84."""

    lat_e7: int
    lng_e7: int


@dataclass(frozen=True, slots=True)
class Item:
    """A line of the basket; the price is that of one."""

    sku: str
    name: str
    quantity: int
    price_minor: int


@dataclass(frozen=True, slots=True)
class Restaurant:
    """A restaurant: its place and the preparation time that it states."""

    restaurant_id: str
    name: str
    at: Position
    preparation_s: int


@dataclass(frozen=True, slots=True)
class Basket:
    """Items, restaurant and drop-off of a customer, checked: one currency, that of the city."""

    city: str
    currency: str
    restaurant: Restaurant
    dropoff: Position
    items: tuple[Item, ...]
    tip_minor: int = 0

    @property
    def pieces(self) -> int:
        """Number of items to carry."""
        return sum(item.quantity for item in self.items)


@dataclass(frozen=True, slots=True)
class Price:
    """Price of an order. The tax is on items and delivery, within their prices or on top of them."""

    currency: str
    items_minor: int
    delivery_fee_minor: int
    tip_minor: int
    tax_minor: int = 0
    tax_included: bool = True

    @property
    def total_minor(self) -> int:
        """Total that the customer pays."""
        added_minor = 0 if self.tax_included else self.tax_minor
        return self.items_minor + self.delivery_fee_minor + self.tip_minor + added_minor


@dataclass(frozen=True, slots=True)
class ActionRequired:
    """What the customer has to do before the payment can be authorised; the provider's words."""

    kind: str
    client_secret: str
    redirect_url: str = ""


@dataclass(frozen=True, slots=True)
class StatusChange:
    """One line of an order's history."""

    status: Status
    at_ms: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class KitchenTerms:
    """How the kitchen stands to an order, settled when it is placed: whether it takes it without being asked, and how
    long it is reckoned to need (0: what the restaurant said).
    """

    auto_accept: bool = True
    preparation_s: int = 0


#: It takes what comes, as fast as it said.
AUTO = KitchenTerms()


@dataclass(frozen=True, slots=True)
class Order:
    """An order. `ready_ms` and `eta_ms` are 0 while unknown, `cooked_ms` until the kitchen said that the food is
    ready, `rider_id` while nobody has it.
    """

    order_id: OrderId
    user_id: UserId
    basket: Basket
    price: Price
    status: Status
    history: tuple[StatusChange, ...]
    placed_ms: int
    promised_ms: int
    ready_ms: int = 0
    eta_ms: int = 0
    rider_id: int = 0
    cooked_ms: int = 0
    kitchen: KitchenTerms = AUTO
    #: Grows by one with each change of the order.
    version: int = 1
    #: Version of the last event that was written to order.events.
    events: int = 0
    #: Given back so far.
    refunded_minor: int = 0
    #: Set while payments wait for the customer.
    action: ActionRequired | None = None

    @property
    def preparation_s(self) -> int:
        """Estimated preparation time."""
        return self.kitchen.preparation_s or self.basket.restaurant.preparation_s

    @property
    def final(self) -> bool:
        """Whether nothing can happen to it any more."""
        return self.status in FINAL
