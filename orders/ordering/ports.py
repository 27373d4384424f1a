"""What the order desk needs from outside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from orders.messaging.message import Offset
from orders.model import Basket, KitchenTerms, Order, OrderId, Position, Status, UserId
from orders.ordering.events import Change
from orders.ordering.hearing import Absorbed, Heard


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A client's key and the digest of what it asked for with it."""

    key: str
    body_sha256: bytes


@dataclass(frozen=True, slots=True)
class Placement:
    """The order a key placed; `replayed` when it had done so before."""

    order: Order
    replayed: bool


@dataclass(frozen=True, slots=True)
class Page:
    """Some orders of a user and where to go on; an empty cursor ends the list. A page may be empty and go on."""

    orders: list[Order]
    next_cursor: str = ""

    @classmethod
    def of(cls, orders: list[Order], limit: int) -> Self:
        """A page of `limit` orders, from those and, where there is one, the next."""
        return cls(orders[:limit], orders[limit - 1].order_id if len(orders) > limit else "")


class Orders(Protocol):
    """All orders, durable when a call returns. Every call may raise `Retryable`; each is safe to repeat."""

    async def place(self, change: Change, key: IdempotencyKey) -> Placement:
        """Stores a new order and its events, once a user and key. Raises `KeyReused` for another body."""

    async def get(self, order_id: OrderId) -> Order | None:
        """The order, as last committed."""

    async def page(self, user_id: UserId, before: OrderId | None, limit: int) -> Page:
        """Orders of a user, newest first, older than `before`, at most `limit`."""

    async def change(self, order_id: OrderId, decide: Callable[[Order], Change]) -> Order | None:
        """Stores what `decide` makes of the order, which nobody else changes meanwhile; None if there is none.

        What `decide` raises is raised, and nothing is stored.
        """


class OrderStore(Orders, Protocol):
    """The orders of one database, and what keeps their sagas going. One that is away holds up no other."""

    async def absorb(self, heard: Sequence[Heard], offsets: Sequence[Offset]) -> Absorbed:
        """Applies events of others (`hearing.digest`), keeps those that must wait, and the offsets, all at once."""

    async def stuck(self, status: Status, older_than_s: float, limit: int) -> list[OrderId]:
        """Orders that have been in a status for longer than that, the oldest first."""

    async def count_stuck(self, status: Status, older_than_s: float) -> int:
        """How many there are."""

    async def tell_again(self, status: Status, older_than_s: float, limit: int) -> int:
        """Has all events of such orders sent once more, the oldest first, but for those that had it lately: after each
        time an order is left alone for twice as long, from `older_than_s` to an hour. Returns of how many.
        """


@dataclass(frozen=True, slots=True)
class City:
    """What orders know of a city."""

    city: str
    currency: str
    center: Position


class Cities(Protocol):
    """The cities that are served."""

    def city(self, name: str) -> City:
        """Raises `Invalid` (field `city`) for an unknown one."""


@dataclass(frozen=True, slots=True)
class Eta:
    """Expected delivery, domain milliseconds: median and 90th percentile. 0 when unknown."""

    eta_ms: int
    eta_p90_ms: int


class KitchenWays(Protocol):
    """How kitchens work."""

    async def terms(self, basket: Basket) -> KitchenTerms:
        """The kitchen's terms for an order placed now. Never raises, never takes long."""


class Estimates(Protocol):
    """Dispatch's opinion on orders that are not placed yet."""

    async def estimate(self, basket: Basket, ready_ms: int) -> Eta:
        """Zeroes when dispatch cannot be asked; never raises for that, never takes long."""
