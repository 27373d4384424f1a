"""Events that orders receive from payments and dispatch, and their application to an order. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from orders.messaging.inbox import admit
from orders.model import Order, OrderId
from orders.ordering.errors import TransitionRefused
from orders.ordering.events import Change
from orders.ordering.saga import Signal, follow


class Source(StrEnum):
    """The services that send events. Each numbers those of an order by itself."""

    PAYMENTS = "payments"
    DISPATCH = "dispatch"


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """An event of another service; `raw` is the message, kept if the event has to wait for the ones before it.

    `flaw` says why the message is set aside although its version counts, so that those after it go on: it is of a kind
    that this release does not know, and changes nothing, or holds what had to be altered to be stored.
    """

    source: Source
    order_id: OrderId
    version: int
    signal: Signal
    raw: bytes
    flaw: str = ""


#: Version of the last event that was applied to an order, by source.
SeenVersions = Mapping[Source, int]


@dataclass(frozen=True, slots=True)
class EventOutcome:
    """An order after some events: those behind a gap are to be held, some were applied, others refused or repeated."""

    change: Change
    seen: SeenVersions
    hold: tuple[ReceivedEvent, ...]
    refused: tuple[TransitionRefused, ...]
    applied: int
    duplicates: int


def apply_events(order: Order, seen: SeenVersions, events: Sequence[ReceivedEvent]) -> EventOutcome:
    """Apply what may be applied of held and newly arrived events, each once and in the order of its source."""
    now_seen, signals, hold, duplicates = dict(seen), [], [], 0
    for source in Source:
        admitted = admit(seen[source], [event for event in events if event.source is source])
        now_seen[source] = admitted.seen
        signals += [event.signal for event in admitted.apply]
        hold += admitted.hold
        duplicates += admitted.duplicates
    change, refused = follow(order, signals)
    return EventOutcome(change, now_seen, tuple(hold), tuple(refused), len(signals), duplicates)


@dataclass(slots=True)
class BatchOutcome:
    """Outcome of a batch of events of many orders, in numbers."""

    applied: int = 0
    duplicates: int = 0
    held: int = 0
    refused: int = 0
    unknown: int = 0
    #: The orders that changed, as they are now.
    changed: list[Order] = field(default_factory=list)

    def add(self, outcome: EventOutcome) -> None:
        """Count what became of one order's events."""
        if outcome.applied:
            self.changed.append(outcome.change.order)
        self.applied += outcome.applied
        self.duplicates += outcome.duplicates
        self.held += len(outcome.hold)
        self.refused += len(outcome.refused)
