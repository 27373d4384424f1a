"""Notes of a tick about its inputs: results to publish, refusals to count."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dispatch.engine.model import OrderId, RiderId


class NoteKind(StrEnum):
    """Outcome of an input, or of an order because of it."""

    DUPLICATE = "duplicate"
    REFUSED = "refused"
    ASSIGNED = "assigned"
    UNASSIGNED = "unassigned"
    EXPIRED = "expired"
    PICKED_UP = "picked_up"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"
    FAILED = "failed"
    LENT = "lent"
    RETURNED = "returned"


@dataclass(frozen=True, slots=True)
class Note:
    """A fact to pass on: results for the outbox, refusals for the metrics.

    `reason` is a fixed word for DUPLICATE and REFUSED, words for FAILED, else mostly empty.
    """

    kind: NoteKind
    at_ms: int
    order_id: OrderId | None = None
    rider_id: RiderId | None = None
    reason: str = ""


def duplicate(at_ms: int, order_id: OrderId | None = None, rider_id: RiderId | None = None) -> list[Note]:
    """The note of an input that says nothing new."""
    return [Note(NoteKind.DUPLICATE, at_ms, order_id, rider_id)]


def refused(reason: str, at_ms: int, order_id: OrderId | None = None, rider_id: RiderId | None = None) -> list[Note]:
    """The note of an input that is not allowed, with a fixed word for the reason."""
    return [Note(NoteKind.REFUSED, at_ms, order_id, rider_id, reason)]
