"""Load of Postgres: a map of that size, asked as shards ask it, and the rows of orders and ticks."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg

from benchmarks.orders.cpu import cpu_s
from benchmarks.scale.control import CallCosts, planet
from benchmarks.scale.rows import CITY, RowBytes, measure_rows
from deploy.stack.stack import LocalStack
from shard_router.adapters.postgres import PostgresRouterStore, prepare
from shard_router.leases.claim_order import claim_places
from shard_router.topology import CityEntry, CityLoad, CityMap, Ownership, ShardLoad
from shard_router.wire import map_message

ROUNDS = 20


@dataclass(frozen=True, slots=True)
class MapCosts:
    """A map of so many cities and shards: bytes on the wire, and CPU milliseconds of a call, there and here."""

    cities: int
    shards: int
    map_bytes: int
    bytes_a_city: float
    beat_database_ms: float
    beat_shard_ms: float
    claim_database_ms: float
    #: Of a tenth of the shards dead, and a second time; `ranked_pairs` are the orphans times the living shards.
    claim_ranking_ms: float
    claim_ranking_again_ms: float
    ranked_pairs: int
    database_bytes_a_city: float

    def calls(self) -> CallCosts:
        """Costs of the calls, as the storms need them."""
        return CallCosts(
            beat_s=self.beat_database_ms / 1000,
            claim_s=self.claim_database_ms / 1000,
            beat_shard_s=self.beat_shard_ms / 1000,
            rank_first_s=self.claim_ranking_ms / 1000 / self.ranked_pairs,
            rank_again_s=self.claim_ranking_again_ms / 1000 / self.ranked_pairs,
        )


async def measure_map(cities: int, shards: int, riders: int) -> MapCosts:
    """Fills a map on a Postgres of its own and asks it."""
    async with _postgres() as (url, server):
        return await _measure(url, server, cities, shards, riders)


async def row_bytes() -> RowBytes:
    """Measure the rows that dispatch writes, on a Postgres of its own where a shard owns the one city."""
    async with _postgres() as (url, _):
        async with asyncpg.create_pool(url, min_size=1, max_size=1) as pool:
            store = PostgresRouterStore(pool)
            await store.ensure_cities([CityEntry(CITY, CITY, 0, "America/Santiago", "CLP", 0, 0)])
            await store.enter("shard-1", "127.0.0.1:1", uuid4(), 3600.0)
            epoch = await store.claim(CITY, "shard-1", 0)
            assert epoch is not None
        return await measure_rows(url, Ownership(CITY, 0, epoch), "shard-1")


@asynccontextmanager
async def _postgres() -> AsyncIterator[tuple[str, int]]:
    """The core database on a server of its own, with the router's tables; and the server's process."""
    with tempfile.TemporaryDirectory() as folder:
        async with LocalStack(Path(folder), fail_fast=True, services=()) as stack:
            url, server = f"{stack.env['FORNO_POSTGRES_URL']}/core", stack.pid("postgres")
            assert server is not None
            await prepare(url)
            yield url, server


async def _measure(url: str, server: int, cities: int, shards: int, riders: int) -> MapCosts:
    pool = await asyncpg.create_pool(url, min_size=1, max_size=2)
    store = PostgresRouterStore(pool)
    entries, loads = planet(cities, riders)
    await store.ensure_cities(entries)
    runs: dict[str, UUID] = {f"shard-{number:03d}": uuid4() for number in range(shards)}
    given: dict[str, dict[str, CityLoad]] = {name: {} for name in runs}
    for number, entry in enumerate(entries):
        given[f"shard-{number % shards:03d}"][entry.city] = loads[entry.city]
    for number, (name, run) in enumerate(runs.items()):
        await store.enter(name, f"10.0.0.{number}:7020", run, 3600.0)
    used = cpu_s(server)
    for name, mine in given.items():
        for city in mine:
            await store.claim(city, name, 0)
    claim_ms = 1000 * (cpu_s(server) - used) / len(entries)
    reports = {name: ShardLoad(cities=mine) for name, mine in given.items()}
    for name, run in runs.items():
        await store.beat(name, run, 3600.0, reports[name])

    async def beat() -> CityMap:
        return await store.beat("shard-000", runs["shard-000"], 3600.0, reports["shard-000"])

    beat_there, beat_here, map_ = await _cost(server, beat)
    size = await pool.fetchval("select pg_total_relation_size('router.cities')")
    await pool.close()
    message = map_message(map_).ByteSize()
    dead = {name for number, name in enumerate(map_.shards) if number % 10 == 0}
    shards_after = {name: replace(shard, alive=name not in dead) for name, shard in map_.shards.items()}
    after = replace(map_, shards=shards_after)
    return MapCosts(
        cities=len(entries),
        shards=shards,
        map_bytes=message,
        bytes_a_city=round(message / len(entries), 1),
        beat_database_ms=beat_there,
        beat_shard_ms=beat_here,
        claim_database_ms=round(claim_ms, 3),
        claim_ranking_ms=_ranking_ms(after),
        claim_ranking_again_ms=_ranking_ms(after),
        ranked_pairs=len(after.orphans()) * len(after.open_shards()),
        database_bytes_a_city=round(size / len(entries), 1),
    )


async def _cost(server: int, call: Callable[[], Awaitable[CityMap]]) -> tuple[float, float, CityMap]:
    """CPU milliseconds of one call: the database's, ours; and its last answer."""
    map_ = await call()
    there, here = cpu_s(server), time.process_time()
    for _ in range(ROUNDS):
        map_ = await call()
    here_ms = 1000 * (time.process_time() - here) / ROUNDS
    await asyncio.sleep(0)
    return round(1000 * (cpu_s(server) - there) / ROUNDS, 2), round(here_ms, 2), map_


def _ranking_ms(map_: CityMap) -> float:
    """CPU milliseconds in which a shard finds out which cities are its own to claim."""
    begun = time.process_time()
    shards = map_.open_shards()
    claim_places(map_, shards, shards[0])
    return round(1000 * (time.process_time() - begun), 1)
