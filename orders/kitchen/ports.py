"""Ports of kitchens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from orders.kitchen.model import CookedOrder, Kitchen
from orders.model import Order


class KitchenStore(Protocol):
    """The orders and choices of kitchens, over all databases. Every call may raise `Retryable` and is safe to repeat.

    The orders of a database that does not answer within two seconds are left out while another does.
    """

    async def tickets(self, kitchen: Kitchen, limit: int) -> list[Order]:
        """The orders that are with the kitchen as last committed, oldest first."""

    async def auto_accept(self, kitchen: Kitchen) -> bool | None:
        """What the restaurant chose; None when it chose nothing."""

    async def choose_auto_accept(self, kitchen: Kitchen, auto_accept: bool) -> None:
        """Store the choice, durably when the call returns."""

    async def cooked(self, kitchen: Kitchen, limit: int) -> Sequence[CookedOrder]:
        """The last orders that it called ready, of the last eight weeks; may be a little behind."""
