"""What the kitchen desk needs from outside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from orders.model import Order, Status

#: The orders that a kitchen's board shows.
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


class KitchenStore(Protocol):
    """What is known of kitchens. Every call may raise `Retryable` and is safe to repeat."""

    async def tickets(self, kitchen: Kitchen, limit: int) -> list[Order]:
        """The orders that are with the kitchen as last committed, oldest first."""

    async def auto_accept(self, kitchen: Kitchen) -> bool | None:
        """What the restaurant chose; None when it chose nothing."""

    async def choose_auto_accept(self, kitchen: Kitchen, auto_accept: bool) -> None:
        """Writes the choice down."""

    async def cooked(self, kitchen: Kitchen, limit: int) -> Sequence[CookedOrder]:
        """The last orders that it called ready, of the last eight weeks; may be a little behind."""
