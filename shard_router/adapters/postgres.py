"""The map and the leases in Postgres: the truth."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from node import postgres
from node.errors import Retryable
from node.postgres import Schema, migrate, state_means, statements
from shard_router.errors import ShardTaken
from shard_router.plans.move_checks import check_move
from shard_router.topology import CityEntry, CityLoad, CityMap, Move, MoveState, ShardEntry, ShardLoad

SQL = statements(__file__)

MIGRATIONS = Path(__file__).parent.parent / "migrations"
SCHEMA = Schema("shard_router", MIGRATIONS)

# Of router.enter and router.beat, when another run has the row.
state_means("FR003", ShardTaken)


async def prepare(url: str) -> None:
    """Brings the database up to date."""
    await migrate(url, "shard_router", MIGRATIONS)


class PostgresRouterStore:
    """`RouterStore` on a pool of database `core`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def ensure_cities(self, cities: Sequence[CityEntry]) -> None:
        async with postgres.session(self._pool) as session, session.transaction():
            for c in cities:
                row = (c.city, c.name, c.partition, c.time_zone, c.currency, c.center_lat_e7, c.center_lng_e7)
                if await session.fetchval(SQL.ensure_city, *row):
                    await session.execute(SQL.tell, c.city, 0, "added", None, "")

    async def read_map(self) -> CityMap:
        async with postgres.session(self._pool) as session:
            return await _read_snapshot(session)

    async def enter(self, shard_id: str, address: str, incarnation: UUID, lease_s: float) -> None:
        lease = timedelta(seconds=lease_s)
        async with postgres.session(self._pool) as session:
            await session.execute(SQL.enter, shard_id, address, incarnation, lease)

    async def beat(self, shard_id: str, incarnation: UUID, lease_s: float, load: ShardLoad) -> CityMap:
        async with postgres.session(self._pool) as session:
            await session.execute(
                SQL.beat,
                shard_id,
                incarnation,
                timedelta(seconds=lease_s),
                load.riders,
                load.open_orders,
                load.tick_p99_ms,
                load.refused,
                loads_json(load),
            )
            return await _read_snapshot(session)

    async def claim(self, city: str, shard_id: str, seen_epoch: int) -> int | None:
        async with postgres.session(self._pool) as session:
            epoch: int | None = await session.fetchval(SQL.claim, city, shard_id, seen_epoch)
            return epoch

    async def release(self, city: str, shard_id: str, epoch: int, idle_s: float | None = None) -> None:
        async with postgres.session(self._pool) as session:
            idle = timedelta(seconds=idle_s) if idle_s is not None else None
            await session.execute(SQL.release, city, shard_id, epoch, idle)

    async def request_move(self, city: str, to_shard: str, actor: str) -> CityEntry:
        async with postgres.session(self._pool) as session, session.transaction():
            # A drain that begins now waits for the shard's row, then finds this move; or this finds the shard draining.
            await session.execute(SQL.hold_shard, to_shard)
            await session.execute(SQL.lock_city, city)
            entry = check_move(await _read_map(session), city, to_shard)
            if entry.moving_to == to_shard:
                return entry
            await session.execute(SQL.replaced, city)
            await session.execute(SQL.new_move, city, entry.owner, to_shard, entry.epoch, actor)
            await session.execute(SQL.move, city, to_shard, entry.epoch)
            await session.execute(SQL.tell, city, entry.epoch, "move asked", to_shard, actor)
            return (await _read_map(session)).cities[city]

    async def warm(self, city: str, shard_id: str, move_id: int) -> None:
        async with postgres.session(self._pool) as session:
            await session.execute(SQL.warm, city, shard_id, move_id)

    async def fail_move(self, move_id: int, reason: str, actor: str) -> bool:
        async with postgres.session(self._pool) as session:
            return bool(await session.fetchval(SQL.fail_move, move_id, reason, actor))

    async def first_tick(self, city: str, shard_id: str, epoch: int) -> None:
        async with postgres.session(self._pool) as session:
            await session.execute(SQL.first_tick, city, shard_id, epoch)

    async def moves(self, limit: int) -> Sequence[Move]:
        async with postgres.session(self._pool) as session:
            return [_move(row) for row in await session.fetch(SQL.last_moves, limit)]

    @asynccontextmanager
    async def changes(self) -> AsyncIterator[AsyncIterator[str]]:
        queue: asyncio.Queue[str | None] = asyncio.Queue(maxsize=1024)

        def told(_connection: Any, _pid: int, _channel: str, payload: str) -> None:
            if not queue.full():  # a reader that is 1,024 changes behind polls the whole map anyway
                queue.put_nowait(payload)

        def ended(_connection: Any) -> None:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(None)

        async def names() -> AsyncIterator[str]:
            while (name := await queue.get()) is not None:
                yield name
            raise Retryable("the connection that listens for changes was lost", reason="POSTGRES_AWAY")

        async with postgres.session(self._pool) as session:
            session.add_termination_listener(ended)
            await session.add_listener("router_map", told)
            try:
                yield names()
            finally:
                session.remove_termination_listener(ended)
                if not session.is_closed():
                    await session.remove_listener("router_map", told)


async def _read_snapshot(session: Any) -> CityMap:
    """The map of one moment: a city's move and its owner's address are of the same commits as its row."""
    async with session.transaction(isolation="repeatable_read", readonly=True):
        return await _read_map(session)


async def _read_map(session: Any) -> CityMap:
    version: int = await session.fetchval(SQL.version)
    shards = {row["shard_id"]: _shard(row) for row in await session.fetch(SQL.shards)}
    moves = {row["city"]: _move(row) for row in await session.fetch(SQL.moves_under_way)}
    cities = {row["city"]: _city(row, shards, moves) for row in await session.fetch(SQL.cities)}
    return CityMap(version, cities, shards)


def _city(row: Any, shards: Mapping[str, ShardEntry], moves: Mapping[str, Move]) -> CityEntry:
    owner, target = shards.get(row["owner"]), shards.get(row["moving_to"])
    return CityEntry(
        **dict(row),
        load=owner.load.cities.get(row["city"], CityLoad()) if owner is not None else CityLoad(),
        move=moves.get(row["city"]),
        behind=target.load.shadows.get(row["city"]) if target is not None else None,
    )


def _move(row: Any) -> Move:
    return Move(**{**dict(row), "state": MoveState(row["state"])})


def _shard(row: Any) -> ShardEntry:
    loads = json.loads(row["loads"])
    cities = {city: CityLoad(*figures) for city, figures in loads.get("cities", {}).items()}
    shadows: dict[str, int] = loads.get("shadows", {})
    load = ShardLoad(row["riders"], row["open_orders"], row["tick_p99_ms"], row["refused"], cities, shadows)
    return ShardEntry(
        row["shard_id"],
        row["address"],
        row["alive"],
        int(row["heartbeat_age_ms"]),
        load,
        row["draining"],
        row["up_ms"],
        row["known_ms"],
    )


def loads_json(load: ShardLoad) -> str:
    """Column `loads`: figures of each city as [riders, open orders, tick p99 ms], and the lag of each shadow."""
    cities = {name: [c.riders, c.open_orders, round(c.tick_p99_ms, 1)] for name, c in load.cities.items()}
    return json.dumps({"cities": cities, "shadows": dict(load.shadows)})
