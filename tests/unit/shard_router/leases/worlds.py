"""Small worlds of leases: a city, and shards on the memory store under a clock that stands still."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from node.clock import ManualClock
from node.errors import Retryable
from shard_router.adapters.memory import MemoryRouterStore
from shard_router.leases.host import CityHost
from shard_router.leases.reconcile import Member
from shard_router.leases.shard_lease import ShardLease
from shard_router.leases.slots import Slots
from shard_router.leases.timing import LEASE_S, MARGIN_S, START_GAP_S
from shard_router.topology import CityEntry, CityMap, Move, Ownership

#: A city that nobody owns, and the same as a shard holds it.
CITY = CityEntry("roma", "Roma", 0, "UTC", "EUR", 0, 0, epoch=3)
OWN = Ownership("roma", 0, 3)


class RecordingHost(CityHost):
    """A host that writes down what it was told."""

    def __init__(self) -> None:
        self.running: dict[str, int] = {}
        self.dropped: list[tuple[str, int, str]] = []
        self.refuse = 0
        self.broken = False
        #: Cities that are being settled or dropped; they end when `may_end` is set.
        self.ending: set[str] = set()
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.settled: list[str] = []
        self.shadows: set[str] = set()
        self.may_warm = asyncio.Event()
        self.may_warm.set()
        self.blind = False
        #: Set for a city of which a part failed.
        self.failed: dict[str, asyncio.Event] = {}
        #: Cities whose shadow is loading, and what was loading when a city was taken.
        self.loading: set[str] = set()
        self.loading_at_take: list[str] = []

    async def take(self, ownership: Ownership) -> None:
        if self.broken:
            raise ValueError("a row nobody understands")
        if self.refuse:
            self.refuse -= 1
            raise Retryable("not now")
        self.loading_at_take += self.loading & {ownership.city}
        self.running[ownership.city] = ownership.epoch
        self.failed[ownership.city] = asyncio.Event()
        self.shadows.discard(ownership.city)

    async def failure(self, city: str, epoch: int) -> None:
        await self.failed[city].wait()

    async def settle(self, city: str, epoch: int) -> float:
        await self._end(city)
        self.settled.append(city)
        return 0.25

    async def shadow(self, ownership: Ownership) -> None:
        if self.blind:
            raise ValueError("a log nobody understands")
        self.shadows.add(ownership.city)
        self.loading.add(ownership.city)
        try:
            await self.may_warm.wait()
        finally:
            self.loading.discard(ownership.city)

    async def unshadow(self, city: str) -> None:
        self.shadows.discard(city)

    async def drop(self, city: str, epoch: int, reason: str) -> None:
        await self._end(city)
        self.running.pop(city, None)
        self.dropped.append((city, epoch, reason))

    async def _end(self, city: str) -> None:
        self.ending.add(city)
        try:
            await self.may_end.wait()
        finally:
            self.ending.discard(city)


class AwayStore(MemoryRouterStore):
    """A store that can be cut off, and that may not hear the next releases."""

    away = False
    deaf = 0

    async def beat(self, *args: object) -> CityMap:
        if self.away:
            raise Retryable("the store is away")
        return await super().beat(*args)  # type: ignore[arg-type]

    async def release(self, *args: object) -> None:
        if self.deaf:
            self.deaf -= 1
            raise Retryable("a lock was waited for too long")
        await super().release(*args)  # type: ignore[arg-type]


class World:
    """A store, a clock, and shards on them."""

    def __init__(self, cities: int = 2) -> None:
        self.clock = ManualClock(1_000_000)
        self.store = AwayStore(self.clock)
        self.entries = [CityEntry(f"city-{n}", f"City {n}", n, "UTC", "EUR", 0, 0) for n in range(cities)]
        self.hosts: dict[str, RecordingHost] = {}
        self.leases: dict[str, ShardLease] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def start(self, name: str) -> None:
        """Starts a shard; waits for its first beat."""
        await self.store.ensure_cities(self.entries)
        self.hosts[name] = RecordingHost()
        log = structlog.get_logger()
        self.leases[name] = ShardLease(self.store, Member(name, f"{name}:1"), self.hosts[name], Slots(self.clock), log)
        self.tasks[name] = asyncio.create_task(self.leases[name].run())
        await self.until(lambda: name in self.store._shards)

    async def until(self, true: Callable[[], bool]) -> None:
        """Lets the shards run until something holds, beats being forced by changes of the map."""
        async with asyncio.timeout(10):
            while not true():
                for lease in self.leases.values():
                    lease._poke.set()
                await asyncio.sleep(0)

    async def start_two(self) -> str:
        """Starts shards a and b and waits until each runs a city; that of a."""
        await self.start("a")
        await self.start("b")
        self.clock.advance(int(START_GAP_S * 1000) + 1)
        await self.until(lambda: all(len(host.running) == 1 for host in self.hosts.values()))
        return next(iter(self.hosts["a"].running))

    async def start_one(self) -> RecordingHost:
        """Starts shard a, alone, and waits until it runs a city; its host."""
        await self.start("a")
        self.clock.advance(2000)
        await self.until(lambda: bool(self.hosts["a"].running))
        return self.hosts["a"]

    async def last_move(self) -> Move:
        """The last move of all."""
        return (await self.store.moves(1))[0]

    async def renewed(self, name: str) -> None:
        """Lets the shards run until the lease of one has been renewed now."""
        slots, until_s = self.leases[name].slots, self.clock.monotonic_s() + LEASE_S - MARGIN_S
        await self.until(lambda: slots.lease_until_s == until_s)

    async def lease_of_the_other_ends(self, name: str) -> None:
        """Lets one shard beat on until the lease of one that beats no more has run out."""
        for _ in range(5):
            self.clock.advance(800)
            await self.renewed(name)

    async def kill(self, name: str) -> None:
        """Ends a shard without a word."""
        dying = self.tasks[name], *self.leases.pop(name)._executor._tasks.values()
        for task in dying:
            task.cancel()
        await asyncio.gather(*dying, return_exceptions=True)

    async def end(self) -> None:
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)
