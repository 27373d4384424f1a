"""Messages as the outbox and the inbox see them."""

from __future__ import annotations

from dataclasses import dataclass

from orders.model import OrderId


@dataclass(frozen=True, slots=True)
class Message:
    """A message to send. `event_id` is stable over retries; `city` is set where the city chooses the partition."""

    event_id: str
    order_id: OrderId
    topic: str
    payload: bytes
    city: str = ""


@dataclass(frozen=True, slots=True)
class Offset:
    """The next offset to read from a partition."""

    topic: str
    partition: int
    next: int
