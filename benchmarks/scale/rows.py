"""Bytes that orders and ticks write to Postgres: a small city lives in the engine, a real server takes its commits.

Counted are the write-ahead log, and what the tables and their indexes hold then. Not counted: the full pages that
follow a checkpoint, the snapshots of a city's memory every few minutes (`dispatch.starts`), ETAs that change.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from uuid import UUID

import asyncpg
import numpy as np

from dispatch.engine.basis import TickBasis
from dispatch.engine.computed_tick import Digests, Matched
from dispatch.engine.digest import digest
from dispatch.engine.eta.calibration import Calibration, Eta, Stage
from dispatch.engine.inputs import (
    Delivered,
    Input,
    OfferReplied,
    OrderOpened,
    PickedUp,
    Positions,
    RiderArrived,
    RiderOnline,
)
from dispatch.engine.model import Order, OrderId, OrderStatus, Point, RestaurantId, Rider, RiderId, StopKind
from dispatch.engine.params import EngineParams
from dispatch.engine.state import Changes, CityState
from dispatch.engine.tick import run_matching
from dispatch.engine.track_updates import update_tracks
from dispatch.engine.tracks import Track, TrackChanges
from dispatch.engine.travel.free_flow import FreeFlowTravel
from dispatch.logs.cut import AppliedRange, Cut
from dispatch.shard.adapters.postgres import PostgresDecisionLog
from dispatch.shard.adapters.postgres import prepare as prepare_dispatch
from dispatch.shard.holdings import Holdings
from dispatch.shard.ports import TickCommit
from shard_router.topology import Ownership

CITY = "la-serena"
ORDERS, RIDERS, RESTAURANTS = 100, 60, 25
#: Orders that open with a tick: few enough that most ride alone.
OPENED_A_TICK = 2
#: Ticks that change nothing, to know what a tick itself writes.
EMPTY_TICKS = 200
#: Between two ticks of the lives: long enough for a rider to take the next step.
_STEP_MS = 10_000
_BEGIN_MS = 1_760_000_000_000
_LAT_E7, _LNG_E7, _HALF_E7 = -299_027_000, -712_520_000, 300_000
_MOST_TICKS = 500
_WRITTEN = "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"
_KEPT = """
select sum(pg_total_relation_size(oid))::bigint from pg_class
where relkind = 'r' and (relnamespace = 'dispatch'::regnamespace or oid = 'outbox'::regclass)
"""
_STAGES = {OrderStatus.ASSIGNED: Stage.ASSIGNED, OrderStatus.PICKED_UP: Stage.CARRIED}


@dataclass(frozen=True, slots=True)
class RowBytes:
    """Bytes that an order's life writes to the log and leaves in the tables, and that each tick does by itself."""

    order_written: float
    order_kept: float
    tick_written: float
    tick_kept: float


def lives(ownership: Ownership) -> Iterator[TickCommit]:
    """Ticks until every order is delivered: opened, offered, accepted, picked up, brought. Pure, always the same."""
    rng, params, travel = np.random.default_rng(1), EngineParams(), FreeFlowTravel()
    state, holdings, tracks = CityState(), Holdings(), dict[OrderId, Track]()
    riders = [RiderId((1 << 60) + n) for n in range(RIDERS)]
    at = _around(rng, RIDERS)
    positions = Positions(np.array(riders, np.uint64), at[:, 0], at[:, 1], np.full(RIDERS, 1_000))
    inputs: list[Input] = [RiderOnline(_BEGIN_MS, rider, _BEGIN_MS + 10**8, 3) for rider in riders]
    waiting = _opened(rng)
    for tick in range(1, _MOST_TICKS):
        now_ms = _BEGIN_MS + tick * _STEP_MS
        inputs += [replace(order, at_ms=now_ms) for order in waiting[:OPENED_A_TICK]]
        del waiting[:OPENED_A_TICK]
        result = run_matching(state, inputs, positions, now_ms, travel, params, f"{CITY}-{tick}")
        changes = result.decisions.changes
        etas = {o.order_id: _eta(o, now_ms) for o in (*state.orders.values(), *changes.orders) if not o.ended}
        track_changes = update_tracks(tracks, result.notes, result.decisions, etas, now_ms)
        commit = _commit(ownership, tick, now_ms, result, travel.version, params, track_changes)
        commit = replace(commit, holdings=holdings.plan(changes.orders))
        yield commit
        holdings.commit(commit.holdings)
        state.commit(changes)
        tracks.update((track.order_id, track) for track in track_changes.tracks)
        if not waiting and all(order.ended for order in state.orders.values()):
            return
        at_ms = now_ms + _STEP_MS // 2
        inputs = [OfferReplied(at_ms, offer.offer_id, offer.rider_id, True) for offer in state.offers.values()]
        inputs += [step for rider in state.riders.values() if (step := _step(rider, at_ms)) is not None]
    raise RuntimeError("the city's orders did not come to their end")


def _around(rng: np.random.Generator, count: int) -> np.ndarray:
    """Random places in a square of 6 km around the city's centre, 1e-7 degrees."""
    places: np.ndarray = rng.integers(-_HALF_E7, _HALF_E7, (count, 2)) + np.array((_LAT_E7, _LNG_E7))
    return places


def _opened(rng: np.random.Generator) -> list[OrderOpened]:
    """The orders, in the order in which they are placed."""
    counters, doors = _around(rng, RESTAURANTS).tolist(), _around(rng, ORDERS).tolist()
    placed_ms = [_BEGIN_MS + n // OPENED_A_TICK * _STEP_MS for n in range(ORDERS)]
    return [
        OrderOpened(
            at_ms=placed_ms[n],
            order_id=OrderId(str(UUID(int=(0x198C0DE << 96) + n))),
            restaurant_id=RestaurantId(f"{CITY}-r{n % RESTAURANTS}"),
            pickup=Point(*counters[n % RESTAURANTS]),
            drop=Point(*doors[n]),
            placed_ms=placed_ms[n],
            ready_ms=placed_ms[n] + 60_000,
            promised_ms=placed_ms[n] + 2_400_000,
        )
        for n in range(ORDERS)
    ]


def _step(rider: Rider, at_ms: int) -> Input | None:
    """The next event of a rider with something to do."""
    if not rider.stops:
        return None
    stop = rider.stops[0]
    if stop.kind is StopKind.DROP:
        return Delivered(at_ms, rider.rider_id, stop.order_ids[0])
    return PickedUp(at_ms, rider.rider_id, stop.order_ids) if rider.arrived else RiderArrived(at_ms, rider.rider_id)


def _eta(order: Order, now_ms: int) -> Eta:
    """A quote that stays what it was: no ETA changes while an order is under way."""
    wait_s = max(0.0, (order.promised_ms - now_ms) / 1000)
    return Eta.of(Calibration().quote(_STAGES.get(order.status, Stage.OPEN), now_ms, wait_s, 180.0))


def _commit(
    own: Ownership, tick: int, now_ms: int, result: Matched, travel: str, params: EngineParams, tracks: TrackChanges
) -> TickCommit:
    decisions, solution = result.decisions, result.decisions.solution
    cut = Cut("log", own.partition, 10 * tick, 10 * tick)
    return TickCommit(
        ownership=own,
        tick=tick,
        basis=TickBasis(now_ms, cut.pings_offset, cut.events_offset, travel, solution.fallback),
        applied=AppliedRange(replace(cut, pings_offset=0, events_offset=0), cut),
        params=params,
        strategy=solution.strategy,
        solver_status=solution.status,
        solver_work=solution.work,
        solver_cost=solution.cost,
        digests=Digests(*(digest(part) for part in (result.problem, solution, decisions.changes, tracks))),
        quiet=(),
        ignored=(),
        passed_over=(),
        checkpoint=None,
        duration_ms=10.0,
        changes=decisions.changes,
        holdings=Holdings().plan(()),
        records=decisions.records,
        tracks=tracks,
    )


async def measure_rows(url: str, ownership: Ownership, shard_id: str) -> RowBytes:
    """Commits the lives, then ticks that change nothing, on a core database where the shard owns the city."""
    await prepare_dispatch(url)
    async with asyncpg.create_pool(url, min_size=1, max_size=1) as pool:
        decision_log = PostgresDecisionLog(pool, shard_id)
        commits = list(lives(ownership))
        begun = await _bytes(pool)
        for commit in commits:
            await decision_log.commit(commit)
        lived = await _bytes(pool)
        last = commits[-1]
        for tick in range(last.tick + 1, last.tick + 1 + EMPTY_TICKS):
            empty = replace(last, tick=tick, changes=Changes((), (), (), ()), holdings=Holdings().plan(()), records=())
            await decision_log.commit(replace(empty, tracks=TrackChanges()))
        ended = await _bytes(pool)
    tick_written, tick_kept = ((after - before) / EMPTY_TICKS for before, after in zip(lived, ended, strict=True))
    written, kept = (after - before for before, after in zip(begun, lived, strict=True))
    return RowBytes(
        order_written=round((written - len(commits) * tick_written) / ORDERS),
        order_kept=round((kept - len(commits) * tick_kept) / ORDERS),
        tick_written=round(tick_written),
        tick_kept=round(tick_kept),
    )


async def _bytes(pool: asyncpg.Pool) -> tuple[int, int]:
    """Bytes written to the log so far, and those that the tables of dispatch and their indexes take."""
    return int(await pool.fetchval(_WRITTEN)), int(await pool.fetchval(_KEPT))
