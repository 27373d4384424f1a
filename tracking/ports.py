"""Ports of the edge. Each adapter keeps these promises (`tests/contract`)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from proto.fix_columns import FixColumns
from tracking.model import CityTasks, OpenOffers, RiderEvent, RiderId, Wake


class Partitions(Protocol):
    """Partitions of a city in both input logs. It never changes while the city exists."""

    def partition(self, city: str) -> int:
        """The partition. Raises `node.errors.Invalid` (field `city`) for a city that is not on the map. Never waits."""


class FixLog(Protocol):
    """The log of fixes. Fixes of one city may land in any order and more than once: readers converge."""

    async def append(self, city: str, partition: int, fixes: FixColumns) -> None:
        """Returns when all of them are durable. Raises `LogAway`: the caller appends the same again."""


class EventLog(Protocol):
    """The log of what a city hears but the fixes. Events of one call land in their order."""

    async def append(self, partition: int, events: Sequence[RiderEvent]) -> None:
        """Returns when all are durable. Raises `LogAway` when any is not: the caller appends all of them again."""


class OfferSource(Protocol):
    """Committed offers and routes, from the city's owner; possibly a tick old. Each call raises `OwnerAway`."""

    async def open_offers(self, city: str) -> OpenOffers:
        """All live offers of the city without an answer."""

    async def tasks(self, city: str, riders: Sequence[RiderId]) -> CityTasks:
        """Offers and routes of these riders of the city; a rider who is unknown there has no entry."""


@dataclass(frozen=True, slots=True)
class EdgePorts:
    """Ports of the edge, together."""

    partitions: Partitions
    fixes: FixLog
    events: EventLog
    offers: OfferSource


class Wakes(Protocol):
    """Hints that something changed. Any may be lost or come twice; losing one costs a second."""

    def listen(self) -> AsyncIterator[Wake]:
        """Wakes of all cities, until cancelled. Outages are waited out, never raised."""
