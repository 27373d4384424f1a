"""What the map costs on Postgres: a map of that size on a server of its own, asked as shards ask it."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg

from benchmarks.orders.cpu import cpu_s
from benchmarks.scale.control import planet
from deploy.stack.stack import LocalStack
from shard_router.adapters.postgres import PostgresRouterStore, prepare
from shard_router.topology import CityLoad, CityMap, ShardLoad, first_claimants
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
    claim_ranking_ms: float
    database_bytes_a_city: float


async def measure_map(cities: int, shards: int, riders: int) -> MapCosts:
    """Fills a map on a Postgres of its own and asks it."""
    with tempfile.TemporaryDirectory() as folder:
        async with LocalStack(Path(folder), fail_fast=True, services=()) as stack:
            url = f"{stack.env['FORNO_POSTGRES_URL']}/core"
            server = stack.pid("postgres")
            assert server is not None
            return await _measure(url, server, cities, shards, riders)


async def _measure(url: str, server: int, cities: int, shards: int, riders: int) -> MapCosts:
    await prepare(url)
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
    return MapCosts(
        cities=len(entries),
        shards=shards,
        map_bytes=message,
        bytes_a_city=round(message / len(entries), 1),
        beat_database_ms=beat_there,
        beat_shard_ms=beat_here,
        claim_database_ms=round(claim_ms, 3),
        claim_ranking_ms=_ranking_ms(map_, dead),
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


def _ranking_ms(map_: CityMap, dead: set[str]) -> float:
    """CPU milliseconds in which a shard finds out which cities are its own to claim when a tenth of the shards died."""
    shards = {name: replace(shard, alive=name not in dead) for name, shard in map_.shards.items()}
    after = replace(map_, shards=shards)
    begun = time.process_time()
    first_claimants(after)
    return round(1000 * (time.process_time() - begun), 1)
