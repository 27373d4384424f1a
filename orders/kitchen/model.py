"""Kitchens as values."""

from __future__ import annotations

from dataclasses import dataclass

from orders.model import Status

#: Statuses of the orders that a kitchen's board shows.
AT_KITCHEN = frozenset({Status.AUTHORISED, Status.ACCEPTED, Status.ASSIGNED})


@dataclass(frozen=True, slots=True)
class Kitchen:
    """A restaurant of a city."""

    city: str
    restaurant_id: str


@dataclass(frozen=True, slots=True)
class CookedOrder:
    """An order that the kitchen called ready; domain milliseconds."""

    said_s: int
    accepted_ms: int
    cooked_ms: int
