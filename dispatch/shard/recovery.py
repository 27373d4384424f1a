"""Load a city into a new owner's memory: the last tick from the database, the rest from the logs.

    stored state + cut ──> events from the cut, fixes from a rewind before it ──> caught up ──> first tick

A log of another incarnation than the cut's is read from its beginning: what the old one held beyond the cut is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import structlog

from dispatch.engine.memory import CityMemory
from dispatch.engine.params import EngineParams
from dispatch.engine.state import CityState
from dispatch.logs.cut import Cut
from dispatch.logs.ports import CityLogs, Read
from dispatch.logs.seen_ids import REMEMBERED_IDS, SeenIds
from dispatch.shard.counters import Counters
from dispatch.shard.holdings import Holdings
from dispatch.shard.live_city import WAITING_EVENTS, Committed, Ingested, LiveCity
from dispatch.shard.ports import DecisionLog, StoredCity
from node.clock import Clock
from node.errors import Retryable
from shard_router.topology import Ownership

#: A rewind reaches this much further back than the oldest fix that counts, wall seconds: an edge takes fixes up to 5 s
#: ahead of its clock, and the clocks of edge, broker and shard differ.
REWIND_SLACK_S = 15.0
#: A city that has not caught up by then is given back, wall seconds.
CATCH_UP_S = 30.0


async def load_city(
    ownership: Ownership, decision_log: DecisionLog, logs: CityLogs, clock: Clock, params: EngineParams
) -> LiveCity:
    """The city as of its last tick, with its logs open where reading goes on. Raises `Retryable`."""
    stale_after_ms = round(params.candidates.max_age_s * 1000)
    forgotten_ms = clock.domain_ms() - round(params.offers.forget_s * 1000)
    stored = await decision_log.load(ownership, forgotten_ms)
    start = await logs.open(ownership.partition, stored.cut, rewind_ms(clock, stale_after_ms))
    cut = stored.cut
    same = cut is not None and cut.incarnation == start.incarnation
    ids = await logs.ids_before(cut, REMEMBERED_IDS) if same and cut is not None else ()
    return _city(ownership, stored, start, SeenIds(ids), cut if same else None, stale_after_ms)


def rewind_ms(clock: Clock, stale_after_ms: int) -> int:
    """Wall milliseconds back to where the oldest fix that is still in sight was appended, or before."""
    oldest_ms = clock.wall_of_domain_ms(clock.domain_ms() - stale_after_ms)
    return round(clock.wall_ms() - oldest_ms + REWIND_SLACK_S * 1000)


def _city(
    ownership: Ownership, stored: StoredCity, start: Cut, seen: SeenIds, cut: Cut | None, stale_after_ms: int
) -> LiveCity:
    tracks = {track.order_id: track for track in stored.tracks}
    memory, holdings = CityMemory(CityState.load(stored.entities), tracks=tracks), Holdings.load(stored.holdings)
    committed = Committed(memory, holdings, stored.tick, start.events_offset, taken_after_tick=stored.tick)
    # Fixes before the cut are read again for positions only: the range of this owner begins at the cut.
    ingested = Ingested(read=start, first=later(cut, start) if cut is not None else start, seen=seen)
    counters = Counters(pings_began=start.pings_offset)
    city = LiveCity(ownership, ingested, committed, stale_after_ms, counters=counters)
    city.watch_carried()
    return city


def later(cut: Cut, start: Cut) -> Cut:
    """The cut, or where the log begins if it no longer holds the cut: a hole that the audit will tell."""
    pings_offset = max(cut.pings_offset, start.pings_offset)
    return replace(cut, pings_offset=pings_offset, events_offset=max(cut.events_offset, start.events_offset))


async def catch_up(
    city: LiveCity, logs: CityLogs, take: Callable[[Read], None], log: structlog.stdlib.BoundLogger
) -> None:
    """Reads until where the logs ended when it began, or until as many events wait as may: ticks will take those, and
    reading goes on then. Raises `Retryable` after `CATCH_UP_S`.
    """
    end = await logs.ends()
    read = began = city.ingested.read
    try:
        async with asyncio.timeout(CATCH_UP_S):
            while read.pings_offset < end.pings_offset or read.events_offset < end.events_offset:
                if len(city.ingested.waiting) >= WAITING_EVENTS:
                    break
                take(await logs.read(1.0))
                read = city.ingested.read
    except TimeoutError:
        raise Retryable(f"{city.name}: not caught up within {CATCH_UP_S:g} s", reason="BEHIND") from None
    log.info(
        "caught up", tick=city.committed.tick, began=began, now=city.ingested.read, riders=len(city.ingested.positions)
    )
