"""The Kafka topics, in one list. The local stack and the deployment create them from here."""

from __future__ import annotations

from dataclasses import dataclass

_HOUR_MS = 3_600_000

#: Cities the two input logs have room for: one partition a city, chosen by data (`router.cities`), never by hash.
CITY_PARTITIONS = 32


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic: its name, how it is cut, how long it is kept, what its messages are."""

    name: str
    partitions: int
    retention_ms: int
    message: str
    about: str


RIDER_PINGS = Topic(
    "rider.pings",
    CITY_PARTITIONS,
    24 * _HOUR_MS,
    "tracking.v1.FixColumns",
    "Fixes of riders in columnar batches; the database of motion.",
)
CITY_EVENTS = Topic(
    "city.events",
    CITY_PARTITIONS,
    7 * 24 * _HOUR_MS,
    "dispatch.v1.CityEvent",
    "Replies, rider status and orders for dispatch; partitioned like rider.pings.",
)
DISPATCH_EVENTS = Topic(
    "dispatch.events",
    8,
    7 * 24 * _HOUR_MS,
    "dispatch.v1.DispatchEvent",
    "What became of an order; keyed by order.",
)
ORDER_EVENTS = Topic(
    "order.events",
    8,
    7 * 24 * _HOUR_MS,
    "orders.v1.OrderEvent",
    "The life of an order outside dispatch; keyed by order.",
)
PAYMENT_EVENTS = Topic(
    "payment.events",
    8,
    7 * 24 * _HOUR_MS,
    "payments.v1.PaymentEvent",
    "What became of the money; keyed by order.",
)

TOPICS: tuple[Topic, ...] = (RIDER_PINGS, CITY_EVENTS, DISPATCH_EVENTS, ORDER_EVENTS, PAYMENT_EVENTS)
