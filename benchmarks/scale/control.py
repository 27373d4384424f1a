"""The control plane in virtual time: thousands of cities, hundreds of shards, the real leases, claims and plans.

Every shard is a `ShardLease` on one `MemoryRouterStore`; between them stands a database with so many cores, whose calls
take the time that was measured on Postgres. A shard's own work on the map takes its time too: reading what a heartbeat
returns, and ranking who should claim what. Cities cost nothing to run here; to take one takes `TAKE_S`.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import numpy as np
import structlog

from benchmarks.scale.virtual import VirtualClock, VirtualLoop, run_virtually
from shard_router.adapters.memory import MemoryRouterStore
from shard_router.leases import reconcile
from shard_router.leases.claim_order import claim_places
from shard_router.leases.host import CityHost
from shard_router.leases.reconcile import Member
from shard_router.leases.shard_lease import ShardLease
from shard_router.leases.slots import Slot, Slots, SlotState
from shard_router.leases.timing import BEAT_EVERY_S
from shard_router.topology import CityEntry, CityLoad, CityMap, Ownership, ShardLoad

#: From a claim to the first tick that could commit, seconds: the shadowless take of a city of some hundred riders.
TAKE_S = 1.0
DATABASE_CORES = 8


@dataclass(frozen=True, slots=True)
class CallCosts:
    """Seconds of a database core that a call takes, on a map of this size; and of a shard's own core.

    `rank_*` are for one orphan and one shard that might claim it: when the shard ranks them first, and again.
    """

    beat_s: float
    claim_s: float
    beat_shard_s: float
    rank_first_s: float
    rank_again_s: float


@dataclass(slots=True)
class Storm:
    """Outcome of the death of so many shards at once. Times are seconds after their death."""

    killed: int
    orphans: int
    notified: int = 0
    claims: int = 0
    claims_lost: int = 0
    beats: int = 0
    owned_s: float = 0.0
    half_owned_s: float = 0.0
    database_busy: float = 0.0
    load_max_over_mean: float = 0.0
    curve: list[tuple[float, int]] = field(default_factory=list)


class PlanetStore(MemoryRouterStore):
    """The same store; reading the map costs by what changed since the last reading, as thousands of cities need it."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(clock)
        self._read: dict[str, CityEntry] = {}
        self._dirty: set[str] = set()

    async def read_map(self) -> CityMap:
        if self._dirty:
            self._read = {**self._read, **{name: self._entry(self._cities[name]) for name in self._dirty}}
            self._dirty.clear()
        shards = {name: self._shard(name, row) for name, row in self._shards.items()}
        return CityMap(self._version, self._read, shards)

    async def beat(self, shard_id: str, incarnation: UUID, lease_s: float, load: ShardLoad) -> CityMap:
        known = self._read
        self._dirty.update(c for c, said in load.cities.items() if c in known and known[c].load != said)
        return await super().beat(shard_id, incarnation, lease_s, load)

    def _change(self, entry: CityEntry) -> None:
        super()._change(entry)
        self._dirty.add(entry.city)

    def given(self, city: str, shard_id: str) -> None:
        """The city is the shard's in epoch 1, as it came to be before the simulation begins."""
        self._change(replace(self._cities[city], owner=shard_id, epoch=1))


class Ranking:
    """`claim_places`; each shard owes the time it takes."""

    def __init__(self, costs: CallCosts) -> None:
        self._costs = costs
        self._asked: set[str] = set()
        self._owed_s: defaultdict[str, float] = defaultdict(float)

    def __call__(self, map_: CityMap, shards: Collection[str], me: str) -> dict[str, int]:
        places = claim_places(map_, shards, me)
        if places:
            a_pair_s = self._costs.rank_again_s if me in self._asked else self._costs.rank_first_s
            self._owed_s[me] += len(places) * len(shards) * a_pair_s
            self._asked.add(me)
        return places

    async def pay(self, shard: str) -> None:
        """The time passes that a shard has ranked for since it last paid."""
        await asyncio.sleep(self._owed_s.pop(shard, 0.0))


class SlowStore:
    """A `RouterStore` behind a database with few cores: calls queue for one, and take their time there."""

    def __init__(self, inner: PlanetStore, costs: CallCosts, ranking: Ranking) -> None:
        self.inner = inner
        self.costs = costs
        self._ranking = ranking
        self.count: Counter[str] = Counter()
        self.busy_s = 0.0
        self._cores = asyncio.Semaphore(DATABASE_CORES)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def beat(self, shard_id: str, incarnation: UUID, lease_s: float, load: ShardLoad) -> CityMap:
        """As the store's."""
        await self._spend("beat", self.costs.beat_s)
        map_ = await self.inner.beat(shard_id, incarnation, lease_s, load)
        await asyncio.sleep(self.costs.beat_shard_s)
        return map_

    async def claim(self, city: str, shard_id: str, seen_epoch: int) -> int | None:
        """As the store's; what the shard has ranked comes before."""
        await self._ranking.pay(shard_id)
        await self._spend("claim", self.costs.claim_s)
        epoch = await self.inner.claim(city, shard_id, seen_epoch)
        self.count["won" if epoch is not None else "lost"] += 1
        return epoch

    def changes(self) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        """As the store's; counted by listener."""
        return self._counted()

    @asynccontextmanager
    async def _counted(self) -> AsyncIterator[AsyncIterator[str]]:
        async with self.inner.changes() as names:

            async def counted() -> AsyncIterator[str]:
                async for name in names:
                    self.count["notified"] += 1
                    yield name

            yield counted()

    async def _spend(self, what: str, seconds: float) -> None:
        self.count[what] += 1
        self.busy_s += seconds
        async with self._cores:
            await asyncio.sleep(seconds)


class _Host(CityHost):
    """Runs nothing; taking a city takes its time."""

    def __init__(self, loads: Mapping[str, CityLoad]) -> None:
        self.loads = loads
        self.cities: set[str] = set()

    async def take(self, ownership: Ownership) -> None:
        await asyncio.sleep(TAKE_S)
        self.cities.add(ownership.city)

    async def drop(self, city: str, epoch: int, reason: str) -> None:
        self.cities.discard(city)

    def load(self) -> ShardLoad:
        """Load as the heartbeat reports it."""
        mine = {city: self.loads[city] for city in self.cities}
        riders, orders = sum(c.riders for c in mine.values()), sum(c.open_orders for c in mine.values())
        return ShardLoad(riders=riders, open_orders=orders, cities=mine)


#: A city with more riders is cut into zones, each a city of its own.
ZONE_RIDERS = 5_000


def planet(cities: int, riders: int, seed: int = 1) -> tuple[list[CityEntry], dict[str, CityLoad]]:
    """A world of so many cities and riders, an open order for every two riders; the biggest cities cut into zones.

    Sizes go by Zipf's law, as those of cities do: the n-th has a share of 1 / (n + 20).
    """
    rng = np.random.default_rng(seed)
    share = 1 / (np.arange(cities) + 20.0)
    sizes = np.rint(riders * share / share.sum()).astype(int).tolist()
    entries: list[CityEntry] = []
    loads: dict[str, CityLoad] = {}
    for number, size in enumerate(sizes):
        lat, lng = rng.uniform((-50.0, -180.0), (60.0, 180.0)).tolist()
        zones = -(-size // ZONE_RIDERS)
        for zone in range(zones):
            name = f"city-{number:04d}" + (f"-{zone}" if zones > 1 else "")
            entries.append(
                CityEntry(name, f"City {number}", len(entries), "Etc/UTC", "USD", round(lat * 1e7), round(lng * 1e7))
            )
            loads[name] = CityLoad(size // zones, size // zones // 2, 20.0)
    return entries, loads


@dataclass(slots=True)
class World:
    """A running control plane."""

    store: SlowStore
    ranking: Ranking
    loads: Mapping[str, CityLoad]
    partitions: Mapping[str, int]
    shards: dict[str, tuple[_Host, asyncio.Task[None]]] = field(default_factory=dict)

    async def begin(self, count: int, clock: VirtualClock) -> None:
        """Start shards that share the load evenly and whose heartbeats are spread over their period."""
        names = [f"shard-{number:03d}" for number in range(count)]
        carried = dict.fromkeys(names, 0)
        given: dict[str, list[str]] = {name: [] for name in names}
        for city in sorted(self.loads, key=lambda city: (-self.loads[city].burden, city)):
            least = min(carried, key=lambda name: (carried[name], name))
            carried[least] += self.loads[city].burden
            given[least].append(city)
        for number, (name, cities) in enumerate(given.items()):
            host = _Host(self.loads)
            host.cities.update(cities)
            slots = Slots(clock)
            for city in cities:
                self.store.given(city, name)
                own = Ownership(city, self.partitions[city], 1)
                slots.of[city] = Slot(city, SlotState.RUNNING, ownership=own)
            me = Member(name, f"10.0.{number // 250}.{number % 250}:7020")
            lease = _Lease(self.store, me, host, slots, _quiet())
            lease.ranking = self.ranking
            self.shards[name] = (host, asyncio.create_task(lease.run(), name=name))
            await asyncio.sleep(BEAT_EVERY_S / count)

    def owned(self) -> int:
        """Cities that run."""
        return sum(len(host.cities) for host, _ in self.shards.values())

    def kill(self, count: int) -> int:
        """Kills so many shards, drawn with a fixed seed; how many cities they ran."""
        orphans = 0
        for name in random.Random(count).sample(sorted(self.shards), count):
            host, task = self.shards.pop(name)
            task.cancel()
            orphans += len(host.cities)
        return orphans

    def spread(self) -> float:
        """Load of the fullest shard over the mean."""
        carried = [sum(self.loads[c].burden for c in host.cities) for host, _ in self.shards.values()]
        return round(max(carried) * len(carried) / sum(carried), 3)


class _Lease(ShardLease):
    """As it is; after a beat the time passes that ranking took."""

    ranking: Ranking

    async def _beat(self) -> float:
        pause_s = await super()._beat()
        await self.ranking.pay(self._me.shard_id)
        return pause_s


def storm(cities: int, shards: int, riders: int, killed: int, costs: CallCosts) -> Storm:
    """Starts a planet, kills shards, and watches until every city is owned again."""
    loop, ranking = VirtualLoop(), Ranking(costs)
    reconcile.claim_places = ranking  # type: ignore[attr-defined]
    try:
        return run_virtually(_storm(loop, cities, shards, riders, killed, costs, ranking), loop)
    finally:
        reconcile.claim_places = claim_places  # type: ignore[attr-defined]


async def _storm(
    loop: VirtualLoop, cities: int, shards: int, riders: int, killed: int, costs: CallCosts, ranking: Ranking
) -> Storm:
    clock = VirtualClock(loop)
    entries, loads = planet(cities, riders)
    inner = PlanetStore(clock)
    await inner.ensure_cities(entries)
    partitions = {entry.city: entry.partition for entry in entries}
    world = World(SlowStore(inner, costs, ranking), ranking, loads, partitions)
    await world.begin(shards, clock)
    await asyncio.sleep(1.0)
    world.store.count.clear()
    world.store.busy_s = 0.0
    died_s, orphans, cities = loop.time(), world.kill(killed), len(world.loads)
    done = Storm(killed, orphans)
    while world.owned() < cities:
        await asyncio.sleep(0.05)
        after_s = round(loop.time() - died_s, 2)
        done.curve.append((after_s, cities - world.owned()))
        if not done.half_owned_s and world.owned() >= cities - orphans / 2:
            done.half_owned_s = after_s
        if after_s > 120:
            break
    done.owned_s = round(loop.time() - died_s, 2)
    count = world.store.count
    done.claims, done.claims_lost, done.beats = count["claim"], count["lost"], count["beat"]
    done.notified = count["notified"]
    done.database_busy = round(world.store.busy_s / (done.owned_s * DATABASE_CORES), 3)
    done.load_max_over_mean = world.spread()
    return done


def _quiet() -> Any:
    return structlog.wrap_logger(
        structlog.PrintLogger(), wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL)
    )
