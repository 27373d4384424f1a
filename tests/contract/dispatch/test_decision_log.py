"""One suite for every decision log: in memory and Postgres."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import asyncpg
import pytest
import pytest_asyncio

from dispatch.engine.eta.calibration import Eta
from dispatch.engine.model import OfferStatus, OrderId, OrderStatus, RiderId
from dispatch.engine.tracks import Result, ResultKind, Track, TrackChanges
from dispatch.logs.cut import AppliedRange, Cut
from dispatch.recording import dump
from dispatch.shard.adapters.memory import MemoryDecisionLog
from dispatch.shard.adapters.postgres import PostgresDecisionLog, prepare
from dispatch.shard.errors import DoubleAssignment
from dispatch.shard.holdings import Holding, HoldingChanges
from dispatch.shard.ports import DecisionLog
from node import postgres
from node.outbox.memory import MemoryPublisher
from node.outbox.message import Outbox
from node.outbox.postgres import PostgresOutbox
from node.postgres import PoolExhausted
from proto.dispatch.v1.dispatch_event_pb2 import DispatchEvent
from shard_router.adapters.postgres import PostgresRouterStore
from shard_router.adapters.postgres import prepare as prepare_router
from shard_router.fence import OwnershipLost
from shard_router.topology import CityEntry, Ownership
from tests.unit.dispatch.shard.worlds import BIG_RIDER, NOON_MS, offer, order, ownership, record, tick_of

CITY = "roma"


class Bench:
    """A decision log whose city this shard owns in epoch 1."""

    def __init__(self, log: DecisionLog, outbox: Outbox, own: Ownership) -> None:
        self.log = log
        self.outbox = outbox
        self.own = own


@pytest_asyncio.fixture(params=["memory", "postgres"], loop_scope="session")
async def bench(request: pytest.FixtureRequest, fresh_database: str) -> AsyncIterator[Bench]:
    """A fresh log, owned."""
    if request.param == "memory":
        memory = MemoryDecisionLog(lambda own: own.epoch == 1)
        yield Bench(memory, memory.outbox_of(CITY), ownership(CITY))
        return
    async with owned(fresh_database) as (pool, log):
        yield Bench(log, PostgresOutbox(pool, CITY), ownership(CITY))


@asynccontextmanager
async def owned(database: str) -> AsyncIterator[tuple[asyncpg.Pool, PostgresDecisionLog]]:
    """A database in which shard-1 owns the city in epoch 1."""
    await prepare_router(database)
    await prepare(database)
    pool = await postgres.connect(database, guarded=True)
    store = PostgresRouterStore(pool)
    await store.ensure_cities([CityEntry(CITY, CITY, 0, "UTC", "EUR", 0, 0)])
    await store.enter("shard-1", "h:1", uuid.uuid4(), 60.0)
    assert await store.claim(CITY, "shard-1", 0) == 1
    yield pool, PostgresDecisionLog(pool, "shard-1")
    await pool.close()


def begun(order_id: str, rider_id: int, place: int | None = None) -> HoldingChanges:
    """An order comes to a rider."""
    return HoldingChanges(begun=(Holding(OrderId(order_id), RiderId(rider_id), place),))


async def test_a_new_city_has_nothing(bench: Bench) -> None:
    """Tick 0, no cut, no entities."""
    stored = await bench.log.load(bench.own, 0)
    assert (stored.tick, stored.cut, stored.entities) == (0, None, ())


async def test_what_was_committed_is_loaded(bench: Bench) -> None:
    """Entities, tracks, holdings and the cut come back equal; ids of 64 bits too."""
    open_order = order("o-1", OrderStatus.OFFERED, BIG_RIDER)
    live = offer("f-1", BIG_RIDER, "o-1")
    track = Track(OrderId("o-1")).moved(OrderStatus.OPEN, NOON_MS).moved(OrderStatus.OFFERED, NOON_MS)
    await bench.log.commit(
        tick_of(
            bench.own,
            1,
            orders=(open_order,),
            offers=(live,),
            holdings=begun("o-1", BIG_RIDER),
            tracks=TrackChanges((track,)),
            events_offset=4,
        )
    )
    stored = await bench.log.load(bench.own, 0)
    assert (stored.tick, stored.cut) == (1, Cut("log", 0, 10, 4))
    assert set(stored.entities) == {open_order, live}
    assert stored.tracks == (track,)
    assert stored.holdings == (Holding(OrderId("o-1"), BIG_RIDER, None),)
    assert await bench.log.track(CITY, OrderId("o-1")) == (open_order, track)
    assert await bench.log.known([OrderId("o-1"), OrderId("o-2")]) == {OrderId("o-1")}


async def test_ended_orders_are_forgotten_in_time(bench: Bench) -> None:
    """An order that ended is loaded only if it ended lately; its track can be asked for ever."""
    ended = order("o-1", OrderStatus.CANCELLED, ended_ms=NOON_MS)
    track = Track(OrderId("o-1")).moved(OrderStatus.CANCELLED, NOON_MS)
    await bench.log.commit(tick_of(bench.own, 1, orders=(ended,), tracks=TrackChanges((track,))))
    assert (await bench.log.load(bench.own, NOON_MS)).entities == (ended,)
    assert (await bench.log.load(bench.own, NOON_MS + 1)).entities == ()
    assert await bench.log.track(CITY, OrderId("o-1")) == (ended, track)
    assert await bench.log.track("milano", OrderId("o-1")) is None


async def test_a_tick_is_committed_once(bench: Bench) -> None:
    """The same tick again is refused, and its outcome can be asked for."""
    await bench.log.commit(tick_of(bench.own, 1))
    assert await bench.log.committed(CITY, 1, 1)
    assert not await bench.log.committed(CITY, 2, 1)
    assert not await bench.log.committed(CITY, 1, 2)
    with pytest.raises(DoubleAssignment):
        await bench.log.commit(tick_of(bench.own, 1))


async def test_an_order_has_one_rider(bench: Bench) -> None:
    """A second rider for an order is refused, and nothing of that tick is there."""
    await bench.log.commit(tick_of(bench.own, 1, orders=(order("o-1"),), holdings=begun("o-1", 1)))
    with pytest.raises(DoubleAssignment):
        await bench.log.commit(tick_of(bench.own, 2, orders=(order("o-2"),), holdings=begun("o-1", 2)))
    stored = await bench.log.load(bench.own, 0)
    assert stored.tick == 1
    assert stored.entities == (order("o-1"),)
    given_back = HoldingChanges(ended=(OrderId("o-1"),), begun=begun("o-1", 2).begun)
    await bench.log.commit(tick_of(bench.own, 2, holdings=given_back))


async def test_a_place_in_a_riders_load_is_taken_once(bench: Bench) -> None:
    """Two orders in one place of a load are refused; two places are fine."""
    await bench.log.commit(tick_of(bench.own, 1, holdings=begun("o-1", 1, 0)))
    with pytest.raises(DoubleAssignment):
        await bench.log.commit(tick_of(bench.own, 2, holdings=begun("o-2", 1, 0)))
    await bench.log.commit(tick_of(bench.own, 2, holdings=begun("o-2", 1, 1)))


async def test_a_rider_sees_one_offer(bench: Bench) -> None:
    """A second live offer on a rider's screen is refused, until the first has ended."""
    first = offer("f-1", 1, "o-1")
    await bench.log.commit(tick_of(bench.own, 1, offers=(first,)))
    with pytest.raises(DoubleAssignment):
        await bench.log.commit(tick_of(bench.own, 2, offers=(offer("f-2", 1, "o-2"),)))
    lapsed = replace(first, status=OfferStatus.EXPIRED, ended_ms=NOON_MS)
    await bench.log.commit(tick_of(bench.own, 2, offers=(lapsed, offer("f-2", 1, "o-2"))))
    assert {e.offer_id for e in (await bench.log.load(bench.own, 0)).entities} == {"f-2"}  # type: ignore[union-attr]


async def test_an_offer_is_explained(bench: Bench) -> None:
    """Its record, with what became of it and where it was decided; other orders have none."""
    live = offer("f-1", BIG_RIDER, "o-1")
    reason = record("f-1", BIG_RIDER, "o-1")
    await bench.log.commit(tick_of(bench.own, 1, orders=(order("o-1"),), offers=(live,), records=(reason,)))
    lapsed = replace(live, status=OfferStatus.DECLINED, ended_ms=NOON_MS + 5)
    await bench.log.commit(tick_of(bench.own, 2, offers=(lapsed,)))
    (document,) = await bench.log.explain(CITY, OrderId("o-1"))
    found = json.loads(document)
    assert (found["rider_id"], found["outcome"], found["answered_ms"]) == (BIG_RIDER, "declined", NOON_MS + 5)
    assert (found["tick"], found["epoch"], found["now_ms"], found["strategy"]) == (1, 1, NOON_MS, "assignment")
    assert dict(found["terms"]) == {"delay": 100.0, "approach": 20.0}
    assert await bench.log.explain(CITY, OrderId("o-2")) == []


async def test_a_stale_owner_writes_nothing(bench: Bench) -> None:
    """Another epoch than the present one is refused: ticks and cuts."""
    stale = ownership(CITY, epoch=7)
    with pytest.raises(OwnershipLost):
        await bench.log.commit(tick_of(stale, 1, orders=(order("o-1"),)))
    with pytest.raises(OwnershipLost):
        await bench.log.save_cut(stale, 0, AppliedRange(Cut("log", 0, 0, 0), Cut("log", 0, 1, 1)))
    assert (await bench.log.load(bench.own, 0)).entities == ()


async def test_a_tick_that_finds_no_free_connection_was_not_committed(
    fresh_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is known at once: nobody has to ask, which would need a connection too."""
    monkeypatch.setattr("dispatch.shard.adapters.postgres.COMMIT_TIMEOUT_S", 0.05)
    async with owned(fresh_database) as (pool, log):
        held = [await pool.acquire() for _ in range(pool.get_max_size())]
        with pytest.raises(PoolExhausted):
            await log.commit(tick_of(ownership(CITY), 1, orders=(order("o-1"),)))
        for connection in held:
            await pool.release(connection)
        assert not await log.committed(CITY, 1, 1)


async def test_the_cut_moves_between_ticks(bench: Bench) -> None:
    """A saved cut is where the next owner begins."""
    await bench.log.save_cut(bench.own, 0, AppliedRange(Cut("log", 0, 0, 0), Cut("log", 0, 30, 40)))
    assert (await bench.log.load(bench.own, 0)).cut == Cut("log", 0, 30, 40)


async def test_a_cut_that_comes_late_lowers_nothing(bench: Bench) -> None:
    """One of the tick before, or of the same tick and less: the next owner begins at the later one."""
    first = Cut("log", 0, 0, 0)
    await bench.log.commit(tick_of(bench.own, 1, events_offset=5))
    await bench.log.commit(tick_of(bench.own, 2, events_offset=7))
    for tick, late in ((1, Cut("log", 0, 90, 90)), (2, Cut("log", 0, 19, 8)), (2, Cut("log", 0, 21, 6))):
        await bench.log.save_cut(bench.own, tick, AppliedRange(first, late))
        assert (await bench.log.load(bench.own, 0)).cut == Cut("log", 0, 20, 7)
    await bench.log.save_cut(bench.own, 2, AppliedRange(first, Cut("log", 0, 21, 7)))
    assert (await bench.log.load(bench.own, 0)).cut == Cut("log", 0, 21, 7)
    replaced = Cut("another", 0, 1, 1)
    await bench.log.save_cut(bench.own, 2, AppliedRange(replaced, replaced))
    assert (await bench.log.load(bench.own, 0)).cut == replaced


async def test_the_results_of_a_tick_wait_in_the_outbox(bench: Bench) -> None:
    """In the order of their versions, each with an id of its own; a tick that tells a version again is refused."""
    results = tuple(
        Result(OrderId("o-1"), version, kind, NOON_MS, BIG_RIDER, Eta(NOON_MS + 1, NOON_MS + 2))
        for version, kind in enumerate((ResultKind.ASSIGNED, ResultKind.PICKED_UP, ResultKind.DELIVERED), 1)
    )
    await bench.log.commit(tick_of(bench.own, 1, tracks=TrackChanges((), results)))
    publisher = MemoryPublisher()
    await bench.outbox.log_is("log-1")
    assert await bench.outbox.relay(10, publisher.send) == 3
    events = [DispatchEvent.FromString(message.payload) for message in publisher.messages]
    assert [(e.version, e.WhichOneof("kind")) for e in events] == [
        (1, "assigned"),
        (2, "picked_up"),
        (3, "delivered"),
    ]
    assert events[0].assigned.rider_id == BIG_RIDER
    assert [e.event_id for e in events] == [message.event_id for message in publisher.messages]
    assert len({e.event_id for e in events}) == 3
    if isinstance(bench.log, PostgresDecisionLog):
        with pytest.raises(DoubleAssignment):
            await bench.log.commit(tick_of(bench.own, 2, tracks=TrackChanges((), results[:1])))


async def test_old_rows_are_pruned_but_never_what_lives(fresh_database: str) -> None:
    """With nothing to keep: ended offers, holdings and orders go; an open order, its track and the last tick stay."""
    async with owned(fresh_database) as (pool, log):
        own = ownership(CITY)
        ended = order("o-1", OrderStatus.DELIVERED, 1, ended_ms=NOON_MS)
        lapsed = offer("f-1", 1, "o-1", status=OfferStatus.ACCEPTED)
        tracks = tuple(Track(OrderId(order_id)) for order_id in ("o-1", "o-2"))
        await log.commit(tick_of(own, 1, orders=(order("o-2"),), offers=(lapsed,), holdings=begun("o-1", 1)))
        gone = HoldingChanges(ended=(OrderId("o-1"),))
        await log.commit(tick_of(own, 2, orders=(ended,), holdings=gone, tracks=TrackChanges(tracks)))
        await log.commit(tick_of(own, 3))
        assert await log.prune(CITY, 1, 100) == 0
        pieces = []
        while removed := await log.prune(CITY, 0, 1):
            pieces.append(removed)
        assert pieces == [1] * 6, "never more than one row at a time, though there were six"
        stored = await log.load(own, 0)
        assert (stored.tick, stored.entities, stored.tracks) == (3, (order("o-2"),), (tracks[1],))
        assert await pool.fetchval("select count(*) from dispatch.ticks") == 1


async def test_a_dump_reads_what_a_tick_went_by(fresh_database: str) -> None:
    """Its basis, those of the ticks before it without a row, and the events that were set aside meanwhile."""
    async with owned(fresh_database) as (pool, log):
        tick = tick_of(ownership(CITY), 1, events_offset=9)
        quiet = replace(tick.basis, events_offset=7, lesson="", owner_began=5)
        basis = replace(tick.basis, stops_fallback="late", renewed=True)
        await log.commit(replace(tick, basis=basis, quiet=(quiet,), ignored=(OrderId("o-1"),), passed_over=(7, 8)))
        await log.commit(replace(tick_of(ownership(CITY), 2), basis=replace(tick.basis, lesson="", owner_began=9)))
        async with postgres.session(pool) as connection:
            first, second = [dump._tick(row) for row in await connection.fetch(dump.SQL.ticks, CITY, 1, 10)]
    assert (first.basis, first.quiet) == (basis, (quiet,))
    assert (first.ignored, first.passed_over) == (("o-1",), (7, 8))
    assert (second.owner_began, second.passed_over) == (9, ())
