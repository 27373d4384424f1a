"""Decisions in Postgres: where a tick becomes true, in one fenced transaction."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg

from dispatch.engine.model import Cooldown, Offer, Order, OrderId, Rider, RiderId
from dispatch.engine.tracks import Track
from dispatch.logs.cut import AppliedRange, Cut
from dispatch.shard.adapters.rows import explained, offer_of, order_of, rider_of, track_of
from dispatch.shard.adapters.tick_rows import Write, messages_of, writes_of
from dispatch.shard.errors import DoubleAssignment, OutcomeUnknown
from dispatch.shard.holdings import Holding
from dispatch.shard.ports import CommittedChanges, StoredCity, TickCommit
from node import postgres, set_aside
from node.errors import Retryable
from node.outbox import postgres as outbox
from node.outbox.postgres import PostgresOutbox
from node.postgres import PoolExhausted, Schema, UniqueViolated, migrate, statements
from proto.topics import CITY_EVENTS, RIDER_PINGS
from shard_router.topology import Ownership

SCHEMA = Schema("dispatch", Path(__file__).parents[2] / "migrations")

#: A tick's transaction may take this long, wall seconds; then its outcome is asked for.
COMMIT_TIMEOUT_S = 2.0
_QUERY_TIMEOUT_S = 5.0
#: In this order: what names an order goes before the order.
_PRUNED = (
    "prune_decisions",
    "prune_offers",
    "prune_holdings",
    "prune_cooldowns",
    "prune_tracks",
    "prune_orders",
    "prune_starts",
    "prune_ticks",
)

SQL = statements(__file__)


async def prepare(url: str) -> None:
    """Brings the database up to date; the router's migrations must have run."""
    for schema in (SCHEMA, set_aside.SCHEMA):
        await migrate(url, schema.package, schema.folder)


@asynccontextmanager
async def _snapshot(pool: asyncpg.Pool) -> AsyncIterator[Any]:
    """A connection for reading as of one moment, while the owner goes on committing."""
    async with (
        postgres.session(pool, _QUERY_TIMEOUT_S) as session,
        session.transaction(isolation="repeatable_read", readonly=True),
    ):
        yield session


class PostgresDecisionLog:
    """`DecisionLog` on a pool of database `core` (guarded: see `node.postgres.GUARDS`)."""

    def __init__(self, pool: asyncpg.Pool, shard_id: str) -> None:
        self._pool = pool
        self._shard_id = shard_id

    async def load(self, ownership: Ownership, ended_since_ms: int) -> StoredCity:
        city = ownership.city
        async with _snapshot(self._pool) as session:
            cut = await session.fetchrow(SQL.load_cut, city)
            tick = await session.fetchval(SQL.last_tick, city)
            orders = await session.fetch(SQL.load_orders, city, ended_since_ms)
            riders = await session.fetch(SQL.load_riders, city)
            offers = await session.fetch(SQL.load_offers, city)
            cooldowns = await session.fetch(SQL.load_cooldowns, city)
            tracks = await session.fetch(SQL.load_tracks, city, ended_since_ms)
            holdings = await session.fetch(SQL.load_holdings, city)
        # In a thread: a big city is thousands of documents, and other cities run here.
        entities = await asyncio.to_thread(_entities, orders, riders, offers, cooldowns)
        return StoredCity(
            tick=tick,
            cut=_cut(cut),
            entities=entities,
            tracks=await asyncio.to_thread(_tracks, tracks),
            holdings=_holdings(holdings),
        )

    async def changed(self, city: str, after_tick: int, ended_since_ms: int) -> CommittedChanges:
        async with _snapshot(self._pool) as session:
            cut = await session.fetchrow(SQL.load_cut, city)
            tick = await session.fetchval(SQL.last_tick, city)
            orders = await session.fetch(SQL.changed_orders, city, ended_since_ms, after_tick)
            riders = await session.fetch(SQL.changed_riders, city, after_tick)
            offers = await session.fetch(SQL.changed_offers, city, after_tick)
            cooldowns = await session.fetch(SQL.load_cooldowns, city)
            tracks = await session.fetch(SQL.changed_tracks, city, ended_since_ms, after_tick)
            holdings = await session.fetch(SQL.load_holdings, city)
        fresh_offers = [row for row in offers if row["body"] is not None]
        return CommittedChanges(
            tick=tick,
            cut=_cut(cut),
            entities=await asyncio.to_thread(_entities, orders, riders, fresh_offers, cooldowns),
            offer_ids=frozenset(row["offer_id"] for row in offers),
            tracks=await asyncio.to_thread(_tracks, tracks),
            holdings=_holdings(holdings),
        )

    async def commit(self, tick: TickCommit) -> None:
        # Worked out in a thread before the transaction begins: it is short then, and nobody waits for JSON.
        writes = await asyncio.to_thread(writes_of, tick, self._shard_id)
        try:
            async with postgres.session(self._pool, COMMIT_TIMEOUT_S) as session, session.transaction():
                await self._write(session, tick, writes)
        except UniqueViolated as error:
            raise DoubleAssignment(str(error)) from error
        except PoolExhausted:
            raise  # nothing was begun
        except Retryable as error:
            raise OutcomeUnknown(str(error)) from error

    async def committed(self, city: str, tick: int, epoch: int) -> bool:
        async with postgres.session(self._pool, _QUERY_TIMEOUT_S) as session:
            return bool(await session.fetchval(SQL.committed, city, tick, epoch))

    async def save_cut(self, ownership: Ownership, tick: int, applied: AppliedRange) -> None:
        async with postgres.session(self._pool, _QUERY_TIMEOUT_S) as session, session.transaction():
            await session.execute(SQL.hold, ownership.city, self._shard_id, ownership.epoch)
            await _save_cut(session, ownership, tick, applied)

    async def known(self, order_ids: Sequence[OrderId]) -> set[OrderId]:
        async with postgres.session(self._pool, _QUERY_TIMEOUT_S) as session:
            rows = await session.fetch(SQL.known_orders, list(order_ids))
        return {OrderId(row["order_id"]) for row in rows}

    async def track(self, city: str, order_id: OrderId) -> tuple[Order, Track] | None:
        async with postgres.session(self._pool, _QUERY_TIMEOUT_S) as session:
            row = await session.fetchrow(SQL.track, order_id, city)
        return (order_of(row["order_body"]), track_of(row["track_body"])) if row else None

    async def explain(self, city: str, order_id: OrderId) -> list[str]:
        async with postgres.session(self._pool, _QUERY_TIMEOUT_S) as session:
            rows = await session.fetch(SQL.explain, city, order_id)
        return [_explained(dict(row)) for row in rows]

    async def prune(self, city: str, keep_h: int, most: int) -> int:
        """`RecordPruner`. The last tick before the horizon stays: its number must not be given twice."""
        async with postgres.session(self._pool, _QUERY_TIMEOUT_S) as session:
            horizon = await session.fetchval(SQL.prune_horizon, city, keep_h)
        for name in _PRUNED:
            async with postgres.session(self._pool, _QUERY_TIMEOUT_S) as session:
                done: str = await session.execute(SQL[name], city, horizon, most)
            # What names an order must be gone to its last row before the order goes.
            if (removed := int(done.split()[-1])) > 0:
                return removed
        return await PostgresOutbox(self._pool).forget_sent(most)

    async def _write(self, session: Any, tick: TickCommit, writes: Sequence[Write]) -> None:
        own = tick.ownership
        await session.execute(SQL.hold, own.city, self._shard_id, own.epoch)
        await _save_cut(session, own, tick.tick, tick.applied)
        for write in writes:
            if write.many:
                await session.executemany(SQL[write.statement], write.values)
            else:
                await session.execute(SQL[write.statement], *write.values)
        await outbox.add(session, messages_of(tick))


async def _save_cut(session: Any, own: Ownership, tick: int, applied: AppliedRange) -> None:
    first, cut = applied.first, applied.cut
    offsets = (cut.pings_offset, cut.events_offset)
    await session.execute(SQL.save_cut, own.city, own.epoch, tick, cut.incarnation, cut.partition, *offsets)
    await session.execute(
        SQL.save_ranges,
        own.city,
        own.epoch,
        cut.incarnation,
        cut.partition,
        [RIDER_PINGS.name, CITY_EVENTS.name],
        [first.pings_offset, first.events_offset],
        list(offsets),
    )


def _cut(row: Any) -> Cut | None:
    return Cut(row["incarnation"], row["partition"], row["pings_offset"], row["events_offset"]) if row else None


def _entities(
    orders: Sequence[Any], riders: Sequence[Any], offers: Sequence[Any], cooldowns: Sequence[Any]
) -> tuple[Order | Rider | Offer | Cooldown, ...]:
    return (
        *(order_of(row["body"]) for row in orders),
        *(rider_of(row["body"]) for row in riders),
        *(offer_of(row["body"]) for row in offers),
        *(Cooldown(RiderId(int(r["rider_id"])), OrderId(r["order_id"]), r["until_ms"]) for r in cooldowns),
    )


def _tracks(rows: Sequence[Any]) -> tuple[Track, ...]:
    return tuple(track_of(row["body"]) for row in rows)


def _holdings(rows: Sequence[Any]) -> tuple[Holding, ...]:
    return tuple(Holding(OrderId(r["order_id"]), RiderId(int(r["rider_id"])), r["slot"]) for r in rows)


def _explained(row: dict[str, Any]) -> str:
    record = json.loads(row.pop("record"))
    cut = {name: row.pop(name) for name in ("incarnation", "partition", "pings_offset", "events_offset")}
    return explained(record, {**row, "rider_id": int(row["rider_id"]), "cut": cut})
