"""What orders hear from payments and dispatch, and what an order makes of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from orders.errors import TransitionRefused
from orders.messaging.inbox import admit
from orders.model import Order, OrderId
from orders.ordering.events import Change
from orders.ordering.saga import Signal, follow


class Source(StrEnum):
    """Who numbers the events."""

    PAYMENTS = "payments"
    DISPATCH = "dispatch"


@dataclass(frozen=True, slots=True)
class Heard:
    """An event of another service; `raw` is the message, kept if the event has to wait for the ones before it."""

    source: Source
    order_id: OrderId
    version: int
    signal: Signal
    raw: bytes


Seen = Mapping[Source, int]


@dataclass(frozen=True, slots=True)
class Digested:
    """An order after some events."""

    change: Change
    seen: Seen
    hold: tuple[Heard, ...]
    refused: tuple[TransitionRefused, ...]
    applied: int
    duplicates: int


def digest(order: Order, seen: Seen, events: Sequence[Heard]) -> Digested:
    """Applies what may be applied of held and newly arrived events, each once and in the order of its source."""
    now_seen, signals, hold, duplicates = dict(seen), [], [], 0
    for source in Source:
        admitted = admit(seen[source], [event for event in events if event.source is source])
        now_seen[source] = admitted.seen
        signals += [event.signal for event in admitted.apply]
        hold += admitted.hold
        duplicates += admitted.duplicates
    change, refused = follow(order, signals)
    return Digested(change, now_seen, tuple(hold), tuple(refused), len(signals), duplicates)


@dataclass(slots=True)
class Absorbed:
    """What became of a batch, in numbers."""

    applied: int = 0
    duplicates: int = 0
    held: int = 0
    refused: int = 0
    unknown: int = 0
    #: The orders that changed, as they are now.
    changed: list[Order] = field(default_factory=list)

    def count(self, digested: Digested) -> None:
        """Adds what became of one order's events."""
        if digested.applied:
            self.changed.append(digested.change.order)
        self.applied += digested.applied
        self.duplicates += digested.duplicates
        self.held += len(digested.hold)
        self.refused += len(digested.refused)
