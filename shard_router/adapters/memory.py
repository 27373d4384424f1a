"""The map and the leases in memory, on a given clock; for tests and for simulations of thousands of cities."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from uuid import UUID

from node.clock import Clock
from node.errors import Retryable
from shard_router.errors import NotHeld, ShardTaken
from shard_router.moves import check_move
from shard_router.topology import CityEntry, CityMap, ShardEntry, ShardLoad

#: A run that has not beaten for this long may be pushed aside by a new one (as in router.enter).
STILL_BEATS_MS = 1600


@dataclass(slots=True)
class _Row:
    address: str
    incarnation: UUID
    heartbeat_ms: float
    lease_until_ms: float
    load: ShardLoad = field(default_factory=ShardLoad)


class MemoryRouterStore:
    """`RouterStore` in one process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._cities: dict[str, CityEntry] = {}
        self._shards: dict[str, _Row] = {}
        self._version = 0
        self._listeners: set[asyncio.Queue[str]] = set()
        self._shared: Counter[str] = Counter()

    async def ensure_cities(self, cities: Sequence[CityEntry]) -> None:
        for city in cities:
            known = self._cities.get(city.city)
            if known is None:
                self._change(city)
            else:
                self._cities[city.city] = replace(
                    known,
                    name=city.name,
                    time_zone=city.time_zone,
                    currency=city.currency,
                    center_lat_e7=city.center_lat_e7,
                    center_lng_e7=city.center_lng_e7,
                )

    async def read_map(self) -> CityMap:
        shards = {name: self._shard(name, row) for name, row in self._shards.items()}
        cities = {
            name: replace(city, address=shards[city.owner].address if city.owner in shards else "")
            for name, city in self._cities.items()
        }
        return CityMap(self._version, cities, shards)

    async def enter(self, shard_id: str, address: str, incarnation: UUID, lease_s: float) -> None:
        now_ms = self._now_ms()
        row = self._shards.get(shard_id)
        if row and row.incarnation != incarnation and row.heartbeat_ms >= now_ms - STILL_BEATS_MS:
            raise ShardTaken(f"another process is running as shard {shard_id}")
        self._shards[shard_id] = _Row(address, incarnation, now_ms, now_ms + lease_s * 1000)

    async def beat(self, shard_id: str, incarnation: UUID, lease_s: float, load: ShardLoad) -> CityMap:
        row = self._shards.get(shard_id)
        if row is None or row.incarnation != incarnation:
            raise ShardTaken(f"another process is running as shard {shard_id}")
        row.heartbeat_ms = self._now_ms()
        row.lease_until_ms = row.heartbeat_ms + lease_s * 1000
        row.load = load
        return await self.read_map()

    async def claim(self, city: str, shard_id: str, seen_epoch: int) -> int | None:
        entry = self._cities.get(city)
        if entry is None or entry.epoch != seen_epoch:
            return None
        if self._shared[city]:
            raise Retryable(f"a decision for {city} is under way", reason="POSTGRES_ERROR")
        if any(other not in (None, shard_id) and self._living(other) for other in (entry.owner, entry.moving_to)):
            return None
        self._change(replace(entry, owner=shard_id, epoch=entry.epoch + 1, moving_to=None))
        return entry.epoch + 1

    async def release(self, city: str, shard_id: str, epoch: int) -> None:
        entry = self._cities[city]
        if entry.owner == shard_id and entry.epoch == epoch:
            self._change(replace(entry, owner=None))

    async def request_move(self, city: str, to_shard: str, actor: str) -> CityEntry:
        entry = check_move(await self.read_map(), city, to_shard)
        self._change(replace(entry, moving_to=to_shard))
        return self._cities[city]

    @contextmanager
    def hold(self, city: str, shard_id: str, epoch: int) -> Iterator[None]:
        """The fence of a transaction that decides, as `router.hold`: raises `NotHeld` unless the shard owns the city
        in that epoch with a living lease; until the end of the context nobody can claim the city.
        """
        entry = self._cities[city]
        if entry.owner != shard_id or entry.epoch != epoch:
            raise NotHeld(f"shard {shard_id} does not own city {city} in epoch {epoch}")
        if not self._living(shard_id):
            raise NotHeld(f"the lease of shard {shard_id} has run out")
        self._shared[city] += 1
        try:
            yield
        finally:
            self._shared[city] -= 1

    @asynccontextmanager
    async def changes(self) -> AsyncIterator[AsyncIterator[str]]:
        queue: asyncio.Queue[str] = asyncio.Queue(maxsize=1024)
        self._listeners.add(queue)

        async def names() -> AsyncIterator[str]:
            while True:
                yield await queue.get()

        try:
            yield names()
        finally:
            self._listeners.discard(queue)

    def _change(self, entry: CityEntry) -> None:
        self._cities[entry.city] = entry
        self._version += 1
        for queue in self._listeners:
            if not queue.full():  # a reader that is 1,024 changes behind polls the whole map anyway
                queue.put_nowait(entry.city)

    def _now_ms(self) -> float:
        return self._clock.monotonic_s() * 1000

    def _living(self, shard_id: str | None) -> bool:
        row = self._shards.get(shard_id or "")
        return row is not None and row.lease_until_ms > self._now_ms()

    def _shard(self, shard_id: str, row: _Row) -> ShardEntry:
        age_ms = int(self._now_ms() - row.heartbeat_ms)
        return ShardEntry(shard_id, row.address, self._living(shard_id), age_ms, row.load)
