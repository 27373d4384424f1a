"""Adapters that keep everything in memory: for tests, and to measure the edge alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

from node.errors import Invalid
from proto.fix_columns import FixColumns
from tracking.errors import LogAway, OwnerAway
from tracking.model import CityTasks, Offer, OpenOffers, RiderEvent, RiderId, Tasks, Wake


@dataclass(slots=True)
class MemoryPartitions:
    """A fixed map of cities."""

    cities: Mapping[str, int]

    def partition(self, city: str) -> int:
        try:
            return self.cities[city]
        except KeyError:
            raise Invalid("city", f"no city {city!r}", reason="UNKNOWN_CITY") from None


@dataclass(slots=True)
class _Gate:
    """Stands for the broker: `away` makes appends fail, `hold` makes them wait."""

    away: bool = False
    go: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.go.set()

    async def passed(self) -> None:
        await self.go.wait()
        if self.away:
            raise LogAway("the memory log was told to be away")


@dataclass(slots=True)
class MemoryFixLog(_Gate):
    """Messages by partition, in the order of their appending."""

    messages: dict[int, list[tuple[str, FixColumns]]] = field(default_factory=dict)

    async def append(self, city: str, partition: int, fixes: FixColumns) -> None:
        await self.passed()
        self.messages.setdefault(partition, []).append((city, fixes))


@dataclass(slots=True)
class MemoryEventLog(_Gate):
    """Events by partition, in the order of their appending."""

    events: dict[int, list[RiderEvent]] = field(default_factory=dict)

    async def append(self, partition: int, events: Sequence[RiderEvent]) -> None:
        await self.passed()
        self.events.setdefault(partition, []).extend(events)


@dataclass(slots=True)
class MemoryOffers:
    """An owner whose offers and routes are set by hand."""

    epoch: int = 1
    away: bool = False
    open: dict[RiderId, tuple[Offer, ...]] = field(default_factory=dict)
    routes: dict[RiderId, Tasks] = field(default_factory=dict)
    #: Whole answers, in the place of what the two above say.
    tasks_of: dict[RiderId, Tasks] = field(default_factory=dict)

    async def open_offers(self, city: str) -> OpenOffers:
        self._here()
        return OpenOffers(self.epoch, tuple((rider, offer) for rider, all_ in self.open.items() for offer in all_))

    async def tasks(self, city: str, riders: Sequence[RiderId]) -> CityTasks:
        self._here()
        known = [rider for rider in riders if rider in self.open or rider in self.routes]
        made = {r: Tasks(self.open.get(r, ()), self.routes[r].route if r in self.routes else None) for r in known}
        return CityTasks(self.epoch, made | {r: self.tasks_of[r] for r in riders if r in self.tasks_of})

    def _here(self) -> None:
        if self.away:
            raise OwnerAway("the memory owner was told to be away")


@dataclass(slots=True)
class MemoryWakes:
    """Wakes put in by hand."""

    queue: asyncio.Queue[Wake] = field(default_factory=lambda: asyncio.Queue(1000))

    async def listen(self) -> AsyncIterator[Wake]:
        while True:
            yield await self.queue.get()
