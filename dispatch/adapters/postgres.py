"""Decisions and outbox in Postgres: where a tick becomes true, in one fenced transaction."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg

from dispatch.adapters import wire
from dispatch.adapters.rows import explained, offer_of, order_of, plain_json, rider_of, track_of
from dispatch.live.cut import Applied, Cut
from dispatch.live.errors import CityLost, DoubleAssignment, OutcomeUnknown, StoreAway
from dispatch.live.holdings import Holding
from dispatch.live.ports import Letter, Stored, TickCommit
from dispatch.live.tracks import Track
from dispatch.model import Cooldown, Offer, OfferStatus, Order, OrderId, Rider, RiderId
from dispatch.params import EngineParams
from node.postgres import migrate
from proto.topics import CITY_EVENTS, RIDER_PINGS
from shard_router.leases import Ownership

MIGRATIONS = Path(__file__).parent.parent / "migrations"

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
    "prune_ticks",
)
#: SQLSTATEs of router.hold: not the owner, lease run out.
_LOST = ("FR001", "FR002")


def _statements() -> Mapping[str, str]:
    text = (Path(__file__).parent / "statements.sql").read_text()
    parts = re.split(r"^-- name: (\w+)$", text, flags=re.MULTILINE)[1:]
    return {name: body.strip() for name, body in zip(parts[::2], parts[1::2], strict=True)}


SQL = _statements()


async def prepare(url: str) -> None:
    """Brings the database up to date; the router's migrations must have run."""
    await migrate(url, "dispatch", MIGRATIONS)


def params_digest(params: EngineParams) -> str:
    """Names a set of parameters by its content."""
    return hashlib.sha256(plain_json(params).encode()).hexdigest()[:16]


@asynccontextmanager
async def _session(pool: asyncpg.Pool) -> AsyncIterator[Any]:
    """A connection for reading, or for writing what is safe to repeat."""
    try:
        async with asyncio.timeout(_QUERY_TIMEOUT_S), pool.acquire() as session:
            yield session
    except (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.PostgresError) as error:
        if isinstance(error, asyncpg.PostgresError) and error.sqlstate in _LOST:
            raise CityLost(str(error)) from error
        raise StoreAway(f"postgres is away: {error!r}") from error


class PostgresDecisionLog:
    """`DecisionLog` on a pool of database `core` (guarded: see `node.postgres.GUARDS`)."""

    def __init__(self, pool: asyncpg.Pool, shard_id: str) -> None:
        self._pool = pool
        self._shard_id = shard_id
        self._stored_params: set[str] = set()

    async def load(self, ownership: Ownership, ended_since_ms: int) -> Stored:
        city = ownership.city
        async with _session(self._pool) as session:
            cut = await session.fetchrow(SQL["load_cut"], city)
            tick = await session.fetchval(SQL["last_tick"], city)
            orders = await session.fetch(SQL["load_orders"], city, ended_since_ms)
            riders = await session.fetch(SQL["load_riders"], city)
            offers = await session.fetch(SQL["load_offers"], city)
            cooldowns = await session.fetch(SQL["load_cooldowns"], city)
            tracks = await session.fetch(SQL["load_tracks"], city, ended_since_ms)
            holdings = await session.fetch(SQL["load_holdings"], city)
        entities: tuple[Order | Rider | Offer | Cooldown, ...] = (
            *(order_of(row["body"]) for row in orders),
            *(rider_of(row["body"]) for row in riders),
            *(offer_of(row["body"]) for row in offers),
            *(Cooldown(RiderId(int(r["rider_id"])), OrderId(r["order_id"]), r["until_ms"]) for r in cooldowns),
        )
        return Stored(
            tick=tick,
            cut=Cut(cut["incarnation"], cut["partition"], cut["pings_offset"], cut["events_offset"]) if cut else None,
            entities=entities,
            tracks=tuple(track_of(row["body"]) for row in tracks),
            holdings=tuple(Holding(OrderId(r["order_id"]), RiderId(int(r["rider_id"])), r["slot"]) for r in holdings),
        )

    async def commit(self, tick: TickCommit) -> None:
        digest = params_digest(tick.params)
        try:
            async with asyncio.timeout(COMMIT_TIMEOUT_S), self._pool.acquire() as session, session.transaction():
                await self._write(session, tick, digest)
        except asyncpg.UniqueViolationError as error:
            raise DoubleAssignment(f"{error.constraint_name}: {error.detail}") from error
        except asyncpg.PostgresError as error:
            if error.sqlstate in _LOST:
                raise CityLost(str(error)) from error
            raise OutcomeUnknown(f"postgres: {error!r}") from error
        except (OSError, TimeoutError, asyncpg.InterfaceError) as error:
            raise OutcomeUnknown(f"postgres went away: {error!r}") from error
        self._stored_params.add(digest)

    async def committed(self, city: str, tick: int, epoch: int) -> bool:
        async with _session(self._pool) as session:
            return bool(await session.fetchval(SQL["committed"], city, tick, epoch))

    async def save_cut(self, ownership: Ownership, tick: int, applied: Applied) -> None:
        async with _session(self._pool) as session, session.transaction():
            await session.execute(SQL["hold"], ownership.city, self._shard_id, ownership.epoch)
            await _save_cut(session, ownership, tick, applied)

    async def known(self, order_ids: Sequence[OrderId]) -> set[OrderId]:
        async with _session(self._pool) as session:
            rows = await session.fetch(SQL["known_orders"], list(order_ids))
        return {OrderId(row["order_id"]) for row in rows}

    async def track(self, city: str, order_id: OrderId) -> tuple[Order, Track] | None:
        async with _session(self._pool) as session:
            row = await session.fetchrow(SQL["track"], order_id, city)
        return (order_of(row["order_body"]), track_of(row["track_body"])) if row else None

    async def explain(self, city: str, order_id: OrderId) -> list[str]:
        async with _session(self._pool) as session:
            rows = await session.fetch(SQL["explain"], city, order_id)
        return [_explained(dict(row)) for row in rows]

    async def prune(self, city: str, keep_h: int) -> int:
        """`Archive`. The last tick before the horizon stays: its number must not be given twice."""
        removed = 0
        async with _session(self._pool) as session:
            horizon = await session.fetchval(SQL["prune_horizon"], city, keep_h)
            for name, value in (*((name, horizon) for name in _PRUNED), ("prune_outbox", keep_h)):
                done: str = await session.execute(SQL[name], city, value)
                removed += int(done.split()[-1])
        return removed

    async def _write(self, session: Any, tick: TickCommit, digest: str) -> None:
        own, cut = tick.ownership, tick.applied.cut
        await session.execute(SQL["hold"], own.city, self._shard_id, own.epoch)
        if digest not in self._stored_params:
            await session.execute(SQL["insert_params"], digest, plain_json(tick.params))
        await session.execute(
            SQL["insert_tick"],
            own.city,
            tick.tick,
            own.epoch,
            self._shard_id,
            tick.now_ms,
            cut.incarnation,
            cut.partition,
            cut.pings_offset,
            cut.events_offset,
            digest,
            tick.travel_version,
            tick.strategy,
            tick.solver_status,
            tick.solver_work,
            tick.solver_cost,
            tick.fallback,
            tick.problem_digest,
            tick.solution_digest,
            tick.duration_ms,
        )
        await _save_cut(session, own, tick.tick, tick.applied)
        await _write_entities(session, tick)
        await _write_holdings(session, tick)
        await _write_told(session, tick)


async def _save_cut(session: Any, own: Ownership, tick: int, applied: Applied) -> None:
    first, cut = applied.first, applied.cut
    offsets = (cut.pings_offset, cut.events_offset)
    await session.execute(SQL["save_cut"], own.city, own.epoch, tick, cut.incarnation, cut.partition, *offsets)
    await session.execute(
        SQL["save_ranges"],
        own.city,
        own.epoch,
        cut.incarnation,
        cut.partition,
        [RIDER_PINGS.name, CITY_EVENTS.name],
        [first.pings_offset, first.events_offset],
        list(offsets),
    )


async def _write_entities(session: Any, tick: TickCommit) -> None:
    city, changes = tick.ownership.city, tick.changes
    if changes.orders:
        columns = zip(
            *((o.order_id, o.status, o.rider_id, o.ended_ms, plain_json(o)) for o in changes.orders), strict=True
        )
        await session.execute(SQL["upsert_orders"], city, tick.tick, *map(list, columns))
    if changes.riders:
        columns = zip(*((r.rider_id, r.online, r.load, plain_json(r)) for r in changes.riders), strict=True)
        await session.execute(SQL["upsert_riders"], city, tick.tick, *map(list, columns))
    # Ends first: a rider's next offer may be made in the tick in which the last one lapsed.
    ended = [(o.offer_id, o.status, plain_json(o)) for o in changes.offers if o.status is not OfferStatus.LIVE]
    if ended:
        await session.execute(SQL["end_offers"], tick.tick, *map(list, zip(*ended, strict=True)))
    made = [(o.offer_id, o.rider_id, o.status, o.made_ms, plain_json(o)) for o in changes.offers]
    if made:
        await session.execute(SQL["insert_offers"], city, tick.tick, *map(list, zip(*made, strict=True)))
    if changes.cooldowns:
        columns = zip(*((c.rider_id, c.order_id, c.until_ms) for c in changes.cooldowns), strict=True)
        await session.execute(SQL["upsert_cooldowns"], city, *map(list, columns))


async def _write_holdings(session: Any, tick: TickCommit) -> None:
    own, holdings = tick.ownership, tick.holdings
    if holdings.ended:
        await session.execute(SQL["end_holdings"], tick.tick, list(holdings.ended))
    if holdings.begun:
        columns = zip(*((h.order_id, h.rider_id, h.slot) for h in holdings.begun), strict=True)
        await session.execute(SQL["begin_holdings"], own.city, own.epoch, tick.tick, *map(list, columns))
    if holdings.accepted:
        columns = zip(*((h.order_id, h.slot) for h in holdings.accepted), strict=True)
        await session.execute(SQL["accept_holdings"], *map(list, columns))


async def _write_told(session: Any, tick: TickCommit) -> None:
    own, told = tick.ownership, tick.tracks
    if tick.records:
        rows = [
            (own.city, tick.tick, r.offer_id, list(r.order_ids), r.rider_id, own.epoch, plain_json(r))
            for r in tick.records
        ]
        await session.executemany(SQL["insert_decisions"], rows)
    if told.tracks:
        columns = zip(*((t.order_id, t.version, plain_json(t)) for t in told.tracks), strict=True)
        await session.execute(SQL["upsert_tracks"], own.city, tick.tick, *map(list, columns))
    if told.results:
        columns = zip(
            *((r.order_id, r.version, wire.encode_result(own.city, own.epoch, r)) for r in told.results), strict=True
        )
        await session.execute(SQL["insert_outbox"], own.city, *map(list, columns))
    if told.outcomes:
        outcomes = [
            (
                o.order_id,
                own.city,
                o.rider_id,
                o.placed_ms,
                o.accepted_ms,
                o.predicted_ms,
                o.predicted_p90_ms,
                o.delivered_ms,
            )
            for o in told.outcomes
        ]
        await session.executemany(SQL["insert_outcomes"], outcomes)


def _explained(row: dict[str, Any]) -> str:
    record = json.loads(row.pop("record"))
    cut = {name: row.pop(name) for name in ("incarnation", "partition", "pings_offset", "events_offset")}
    return explained(record, {**row, "rider_id": int(row["rider_id"]), "cut": cut})


class PostgresOutbox:
    """`Outbox` on the same pool."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def waiting(self, city: str, limit: int) -> Sequence[Letter]:
        async with _session(self._pool) as session:
            rows = await session.fetch(SQL["waiting_letters"], city, limit)
        return [Letter(row["id"], row["order_id"], row["payload"]) for row in rows]

    async def published(self, letters: Sequence[Letter]) -> None:
        async with _session(self._pool) as session:
            await session.execute(SQL["mark_published"], [letter.letter_id for letter in letters])

    async def log_is(self, city: str, incarnation: str) -> int:
        async with _session(self._pool) as session, session.transaction():
            known = await session.fetchval(SQL["outbox_log"], city)
            if known == incarnation:
                return 0
            await session.execute(SQL["set_outbox_log"], city, incarnation)
            if known is None:
                return 0
            done: str = await session.execute(SQL["publish_again"], city)
            return int(done.split()[-1])
