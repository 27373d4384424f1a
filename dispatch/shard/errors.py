"""Errors of a running city."""

from __future__ import annotations

from node.errors import FornoError, NotFound, Retryable


class DoubleAssignment(FornoError):
    """An index refused a second rider for an order, or a second order for a place: memory is wrong, load it again."""

    reason = "DOUBLE_ASSIGNMENT"


class PartEnded(FornoError):
    """A part of a running city ended although nobody ended the city."""

    reason = "PART_ENDED"


class OutcomeUnknown(Retryable):
    """The connection was lost while a tick was committed: ask by (city, tick) whether it was."""

    reason = "OUTCOME_UNKNOWN"


class UnknownOrder(NotFound):
    """The city has no such order."""

    reason = "UNKNOWN_ORDER"

    def __init__(self, order_id: str) -> None:
        super().__init__(f"no order {order_id!r} in this city")
