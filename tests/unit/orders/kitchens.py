"""Kitchens for the tests of orders."""

from __future__ import annotations

import structlog

from node.clock import Clock
from orders.kitchen.adapters.memory import MemoryKitchens
from orders.kitchen.known_kitchens import KnownKitchens
from orders.ordering.adapters.memory import MemoryOrders

HOUR_MS = 3_600_000


def utc_hour(city: str, at_ms: int) -> int:
    """As if all cities were in Greenwich."""
    return at_ms // HOUR_MS % 24


def known_kitchens(orders: MemoryOrders, clock: Clock, *, asked: str = "") -> KnownKitchens:
    """What is known of the kitchens of these orders; those of one city may be asked."""
    return KnownKitchens(MemoryKitchens(orders), frozenset({asked}), utc_hour, clock, structlog.get_logger())
