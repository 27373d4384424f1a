"""The transitions of an order. What is not in the table is refused, with its reason.

PLACED ──> AUTHORISED ──> ACCEPTED <──> ASSIGNED ──> PICKED_UP ──> DELIVERED ──> COMPLETED
   │            │             │             │             │
   ├> DECLINED  └──────┬──────┴─────────────┤             │
   └─────────> CANCELLED                    └──> FAILED <─┘
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from orders.model import FINAL, Status
from orders.ordering.errors import TransitionRefused


class Trigger(StrEnum):
    """Cause of an order's transition."""

    AUTHORISE = "AUTHORISE"
    DECLINE = "DECLINE"
    ACCEPT = "ACCEPT"
    REJECT = "REJECT"
    ASSIGN = "ASSIGN"
    UNASSIGN = "UNASSIGN"
    PICK_UP = "PICK_UP"
    DELIVER = "DELIVER"
    FAIL = "FAIL"
    CAPTURE = "CAPTURE"
    CANCEL = "CANCEL"


TABLE: Mapping[tuple[Status, Trigger], Status] = {
    (Status.PLACED, Trigger.AUTHORISE): Status.AUTHORISED,
    (Status.PLACED, Trigger.DECLINE): Status.DECLINED,
    (Status.PLACED, Trigger.CANCEL): Status.CANCELLED,
    (Status.AUTHORISED, Trigger.ACCEPT): Status.ACCEPTED,
    (Status.AUTHORISED, Trigger.REJECT): Status.CANCELLED,
    (Status.AUTHORISED, Trigger.CANCEL): Status.CANCELLED,
    (Status.ACCEPTED, Trigger.ASSIGN): Status.ASSIGNED,
    (Status.ACCEPTED, Trigger.FAIL): Status.FAILED,
    (Status.ACCEPTED, Trigger.CANCEL): Status.CANCELLED,
    # Another rider took it over.
    (Status.ASSIGNED, Trigger.ASSIGN): Status.ASSIGNED,
    (Status.ASSIGNED, Trigger.UNASSIGN): Status.ACCEPTED,
    (Status.ASSIGNED, Trigger.PICK_UP): Status.PICKED_UP,
    # A rider who forgot to say that the food was picked up delivered it all the same.
    (Status.ASSIGNED, Trigger.DELIVER): Status.DELIVERED,
    (Status.ASSIGNED, Trigger.FAIL): Status.FAILED,
    (Status.ASSIGNED, Trigger.CANCEL): Status.CANCELLED,
    (Status.PICKED_UP, Trigger.DELIVER): Status.DELIVERED,
    (Status.PICKED_UP, Trigger.FAIL): Status.FAILED,
    (Status.DELIVERED, Trigger.CAPTURE): Status.COMPLETED,
}

_WHY: Mapping[Status, str] = {
    Status.PLACED: "its payment is not authorised yet",
    Status.AUTHORISED: "the restaurant has not answered yet",
    Status.ACCEPTED: "no rider has it",
    Status.ASSIGNED: "a rider is on the way to the restaurant",
    Status.PICKED_UP: "the rider has the food",
    Status.DELIVERED: "it was delivered",
    **dict.fromkeys(FINAL, "nothing can happen to it any more"),
}


def next_status(status: Status, trigger: Trigger) -> Status:
    """Status to which the trigger leads. Raises `TransitionRefused` when the table has no such transition."""
    try:
        return TABLE[status, trigger]
    except KeyError:
        raise TransitionRefused(status, trigger, _WHY[status]) from None
