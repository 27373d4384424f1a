"""Delays of the event loop while a big city's ticks run beside it.

A real `CityRunner`: it reads fixes from its log, ticks every second, solves in the worker process, commits. Only the
servers are in memory. The loop is loaded with 20,000 fixes a second. Each callback on the loop is timed: by the CPU
time of its thread, which is what it would take from others on a machine of its own, and by the wall.

The first tick is told apart and not judged: it offers at once all that is due in a city that nobody has ever looked at.
No tick of a living city does that, not even a new owner's first: that one finds offers made and orders taken.
"""

from __future__ import annotations

import asyncio
import time
from asyncio import events
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import structlog

from benchmarks.dispatch.snapshot import big_city
from dispatch.engine.inputs import Positions
from dispatch.engine.params import EngineParams
from dispatch.logs.adapters.memory import MemoryCityLogs, MemoryLog
from dispatch.shard.adapters.lessons import MemoryLessonStore
from dispatch.shard.adapters.memory import MemoryAnnouncements, MemoryDecisionLog
from dispatch.shard.dependencies import Dependencies
from dispatch.shard.runner import CityRunner
from dispatch.shard.solver import Solver
from dispatch.shard.travel import TravelSettings
from node.clock import SystemClock
from node.lifecycle import calm_collector
from node.outbox.memory import MemoryPublisher
from proto.dispatch.v1 import city_event_pb2
from proto.fix_columns import FixColumns
from proto.fix_messages import encode_fixes
from proto.tracking.v1 import rider_link_pb2 as link
from shard_router.topology import Ownership

CITY, PARTITION = "bench", 0
FIXES_PER_S = 20_000
BATCH = 400
FIRST_S = 4.0
SOLVE_LIMIT_MS = 5_000
"""The guard of this run: a busy machine must not turn it into a measurement of greedy."""


@dataclass(frozen=True, slots=True)
class LoopFigures:
    """Milliseconds of the callbacks of one loop. `tick_*` are ticks with their way to the worker and their commit;
    `first_*` is about the `FIRST_S` seconds before, with the first tick in them, which is in no other figure."""

    orders: int
    seconds: float
    callbacks: int
    fixes: int
    ticks: int
    fallbacks: int
    longest_cpu_ms: float
    longest_cpu_of: str
    wall_p999_ms: float
    longest_wall_ms: float
    tick_p50_ms: float
    tick_p95_ms: float
    first_longest_cpu_ms: float
    first_longest_cpu_of: str


@dataclass(slots=True)
class _Timing:
    cpu_s: list[float] = field(default_factory=list)
    wall_s: list[float] = field(default_factory=list)
    longest: tuple[float, str] = (0.0, "")


@contextmanager
def _timed() -> Iterator[_Timing]:
    """Times every callback of asyncio's own loop (not of uvloop, whose handles cannot be reached)."""
    timing, run = _Timing(), events.Handle._run

    def timed(handle: events.Handle) -> None:
        wall, cpu = time.perf_counter(), time.thread_time()
        run(handle)
        spent = time.thread_time() - cpu
        timing.cpu_s.append(spent)
        timing.wall_s.append(time.perf_counter() - wall)
        if spent > timing.longest[0]:
            timing.longest = (spent, repr(handle)[:200])

    events.Handle._run = timed  # type: ignore[assignment,method-assign]
    try:
        yield timing
    finally:
        events.Handle._run = run  # type: ignore[method-assign]


def measure_loop(orders: int, seconds: float) -> LoopFigures:
    """A city with so many open orders for so long."""
    return asyncio.run(_measure(orders, seconds))


async def _measure(orders: int, seconds: float) -> LoopFigures:
    log, clock = structlog.get_logger(), SystemClock()
    solver = Solver(TravelSettings(), SOLVE_LIMIT_MS, log)
    await solver.warm()
    calm_collector()  # As every process of ours does when it is ready.
    fixes = MemoryLog()
    runner = await _runner(solver, fixes, clock, log)
    city = big_city(orders, now_ms=clock.domain_ms())
    runner.city.committed.memory.state = city.state
    await _send(fixes, city.positions, clock)
    try:
        with _timed() as first:
            runner.begin()
            await asyncio.sleep(FIRST_S)
        runner.city.counters.tick_ms.clear()
        before = runner.city.counters.ticks_committed, runner.city.counters.ticks_fallback
        with _timed() as timing:
            sent = await _load(runner, fixes, city.positions, clock, seconds)
        if runner.failed.is_set():
            raise RuntimeError("a part of the city failed while it was measured")
        ticks = list(runner.city.counters.tick_ms) or [0.0]
    finally:
        await runner.end()
        await solver.close()
    counters = runner.city.counters
    return LoopFigures(
        orders=orders,
        seconds=seconds,
        callbacks=len(timing.cpu_s),
        fixes=sent,
        ticks=counters.ticks_committed - before[0],
        fallbacks=counters.ticks_fallback - before[1],
        longest_cpu_ms=round(1000 * timing.longest[0], 2),
        longest_cpu_of=timing.longest[1],
        wall_p999_ms=round(1000 * float(np.percentile(timing.wall_s, 99.9)), 2),
        longest_wall_ms=round(1000 * max(timing.wall_s), 2),
        tick_p50_ms=round(float(np.percentile(ticks, 50)), 1),
        tick_p95_ms=round(float(np.percentile(ticks, 95)), 1),
        first_longest_cpu_ms=round(1000 * first.longest[0], 2),
        first_longest_cpu_of=first.longest[1],
    )


async def _runner(
    solver: Solver, fixes: MemoryLog, clock: SystemClock, log: structlog.stdlib.BoundLogger
) -> CityRunner:
    decisions = MemoryDecisionLog()
    parts = Dependencies(
        clock=clock,
        log=log,
        solver=solver,
        params=EngineParams(),
        logs_of=lambda city: MemoryCityLogs(fixes, city),
        decision_log=decisions,
        lessons=MemoryLessonStore(),
        outbox_of=decisions.outbox_of,
        publisher=MemoryPublisher(),
        announcements=MemoryAnnouncements(),
        views_of=lambda _: (),
        tick_period_ms=1000,
    )
    return await CityRunner.load(Ownership(CITY, PARTITION, 1), parts, lambda: True)


async def _load(runner: CityRunner, fixes: MemoryLog, positions: Positions, clock: SystemClock, seconds: float) -> int:
    """Every rider's fix in turn, in batches, at the rate; and every offer is accepted soon."""
    sent, seq, until = 0, 2, clock.monotonic_s() + seconds
    while clock.monotonic_s() < until:
        for first in range(0, len(positions.rider_ids), BATCH):
            rows = slice(first, first + BATCH)
            await fixes.append_pings(PARTITION, _encoded(positions, rows, seq, clock))
            sent += len(positions.rider_ids[rows])
            await asyncio.sleep(BATCH / FIXES_PER_S)
        await _accept(runner, fixes, seq, clock)
        seq += 1
    return sent


async def _accept(runner: CityRunner, fixes: MemoryLog, seq: int, clock: SystemClock) -> None:
    for offer in list(runner.city.state.offers.values()):
        reply = link.OfferReply(seq=seq, offer_id=offer.offer_id, accepted=True, ts_ms=clock.domain_ms())
        replied = city_event_pb2.RiderReplied(rider_id=offer.rider_id, session=1, reply=reply)
        event = city_event_pb2.CityEvent(event_id=f"yes-{offer.offer_id}", city=CITY, rider_replied=replied)
        await fixes.append_event(PARTITION, event.SerializeToString())


async def _send(fixes: MemoryLog, positions: Positions, clock: SystemClock) -> None:
    await fixes.append_pings(PARTITION, _encoded(positions, slice(None), 1, clock))


def _encoded(positions: Positions, rows: slice, seq: int, clock: SystemClock) -> bytes:
    ids = positions.rider_ids[rows]
    columns = FixColumns.zeros(len(ids))
    columns.rider_id[:] = ids
    columns.session[:], columns.seq[:], columns.ts_ms[:] = 1, seq, clock.domain_ms()
    columns.lat_e7[:], columns.lng_e7[:] = positions.lat_e7[rows], positions.lng_e7[rows]
    return encode_fixes(CITY, columns, "bench", clock.wall_ms())
