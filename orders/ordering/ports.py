"""Ports of ordering: the stored orders, the cities, the kitchens, dispatch's estimates.

The store of one database is three ports, because each has its own callers and its own rules: reads may be decorated (by
a cache, the archive, a replica), decisions and stuck orders always go to the database itself. `store.OrderStore` holds
the three together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from orders.messaging.message import Offset
from orders.model import Basket, KitchenTerms, Order, OrderId, Position, Status, UserId
from orders.ordering.event_inbox import BatchOutcome, ReceivedEvent
from orders.ordering.events import Change


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A client's key and the SHA-256 of what it asked for with it."""

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


class OrderReads(Protocol):
    """Read the orders of one database.

    Whoever writes through `OrderDecisions` of this process and then reads gets what was written, or newer. What others
    write may be seen late, where reads are decorated: by the age of the replica (`orders_replica_max_age_s`) or of a
    cache entry (30 s, only when an invalidation was lost). Raises `Retryable`; the caller may retry.
    """

    async def get(self, order_id: OrderId) -> Order | None:
        """The order; None when it is nowhere."""

    async def page(self, user_id: UserId, before: OrderId | None, limit: int) -> Page:
        """Orders of a user, newest first, older than `before`, at most `limit`."""


class OrderDecisions(Protocol):
    """Change the orders of one database, durably when a call returns.

    Changes of one order are made one after the other, each upon the last committed version. `WriteObserver`s are told
    after the commit, before the call returns. Raises `Retryable` when the outcome is not known: each call is safe to
    repeat, by its caller (`place` and `change`: the client; `receive`: the loop that reads the topics).
    """

    async def place(self, change: Change, key: IdempotencyKey) -> Placement:
        """Store a new order and its events, once a user and key. Raises `KeyReused` for another body."""

    async def change(self, order_id: OrderId, decide: Callable[[Order], Change]) -> Order | None:
        """Store what `decide` makes of the order, which nobody else changes meanwhile; None if it has no row here.

        What `decide` raises is raised, and nothing is stored.
        """

    async def receive(self, events: Sequence[ReceivedEvent], offsets: Sequence[Offset]) -> BatchOutcome:
        """Apply events of other services (`event_inbox.apply_events`), keep those that must wait for earlier ones, and
        store the offsets, all in one transaction. Events of orders without a row are counted and dropped.
        """


class StuckOrders(Protocol):
    """Find the orders of one database that wait too long, and send their events again.

    As last committed. Raises `Retryable`; the loop that calls goes on with its next round.
    """

    async def stuck(self, status: Status, older_than_s: float, limit: int) -> list[OrderId]:
        """Orders that have been in a status for longer than that, the oldest first."""

    async def count_stuck(self, status: Status, older_than_s: float) -> int:
        """How many there are."""

    async def send_again(self, status: Status, older_than_s: float, limit: int) -> int:
        """Have all events of such orders sent once more, the oldest first, but for those that had it lately: after each
        time an order is left alone for twice as long, from `older_than_s` to an hour. Returns of how many orders.
        """


@dataclass(frozen=True, slots=True)
class ServedCity:
    """A city in which orders are taken."""

    city: str
    currency: str
    center: Position


class ServedCities(Protocol):
    """The cities that are served."""

    def city(self, name: str) -> ServedCity:
        """The city of a name. Raises `Invalid` (field `city`) for an unknown one."""


@dataclass(frozen=True, slots=True)
class Eta:
    """Expected delivery, domain milliseconds: median and 90th percentile. 0 when unknown."""

    eta_ms: int
    eta_p90_ms: int


class KitchenTermsLookup(Protocol):
    """Look up the terms on which kitchens take orders."""

    async def terms(self, basket: Basket) -> KitchenTerms:
        """The kitchen's terms for an order placed now; may be two minutes old. Never raises, takes 0.5 s at most."""


class Estimates(Protocol):
    """Ask dispatch about orders that are not placed yet."""

    async def estimate(self, basket: Basket, ready_ms: int) -> Eta:
        """When the order would arrive; zeroes when dispatch cannot be asked. Does not raise; takes 0.5 s at most."""
