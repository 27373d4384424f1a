"""Both logs of a city into its memory: fixes at once, events into the queue of the next tick."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import structlog

from dispatch.logs.errors import LogReplaced
from dispatch.logs.ports import CityLogs, Read
from dispatch.metrics import CityMetrics
from dispatch.shard.live_city import WAITING_EVENTS, LiveCity
from dispatch.shard.position_feed import NOBODY, PositionFeed
from node.clock import Clock
from node.retry import QUICK
from proto.fix_columns import FixColumns


class Ingest:
    """Reads one city's logs from where the city was loaded, until cancelled."""

    def __init__(
        self,
        city: LiveCity,
        logs: CityLogs,
        feed: PositionFeed,
        clock: Clock,
        metrics: CityMetrics,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._city = city
        self.logs = logs
        self._feed = feed
        self._clock = clock
        self._metrics = metrics
        self._log = log
        self._failure: BaseException | None = None
        #: Set when events wait; the ticker clears it.
        self.has_events = asyncio.Event()
        #: Set by the ticker when it took events.
        self.room = asyncio.Event()

    async def run(self) -> None:
        """Reads, and opens the logs anew after a failure: where it left off, or at the beginning of a replaced log."""
        await QUICK.forever(self._follow, self._paused)

    async def _follow(self) -> None:
        if self._failure is not None:
            await self._reopen(replaced=isinstance(self._failure, LogReplaced))
            self._failure = None
        while True:
            await self._wait_for_room()
            self.take(await self.logs.read(0.5))

    def _paused(self, error: BaseException, pause_s: float) -> None:
        self._log.warning("reading paused", error=str(error), pause_s=pause_s)
        # A log that was replaced is still another one if it could not be opened at once.
        if not isinstance(self._failure, LogReplaced):
            self._failure = error

    def take(self, read: Read) -> None:
        """Applies what was read. Synchronous: after it, positions and the cut agree."""
        city = self._city
        if read.pings_first > city.ingested.read.pings_offset or read.events_first > city.ingested.read.events_offset:
            self._note_hole(read)
        moved = NOBODY
        if read.fixes:
            done = city.ingested.positions.apply(FixColumns.concat(list(read.fixes)))
            moved = done.moved
            city.counters.fixes_applied += done.applied
            city.counters.fixes_superseded += done.superseded
            self._metrics.fixes(done.applied, done.superseded)
        city.ingested.read = read.cut
        if read.fixes:
            self._feed.applied(moved)
            if read.packed_wall_ms:
                now_ms = self._clock.wall_ms()
                self._metrics.log_age_ms(now_ms - read.packed_wall_ms)
                newest_ms = self._clock.wall_of_domain_ms(int(read.fixes[-1].ts_ms[-1]))
                self._metrics.applied_age_ms.observe(now_ms - newest_ms)
        for event in read.events:
            if city.ingested.seen.first_time(event.event_id):
                city.ingested.waiting.append(event)
            else:
                city.counters.events_repeated += 1
        if read.events:
            self.has_events.set()

    def _note_hole(self, read: Read) -> None:
        """Offsets that the log no longer holds: a new range begins, and the audit will tell."""
        city = self._city
        city.counters.log_holes += 1
        known, pings, events = city.ingested, read.pings_first, read.events_first
        self._log.error("hole in the log", read=known.read, pings_first=pings, events_first=events)
        known.first = replace(known.first, pings_offset=pings, events_offset=events)

    async def _wait_for_room(self) -> None:
        while len(self._city.ingested.waiting) >= WAITING_EVENTS:
            self.room.clear()
            await self.room.wait()

    async def _reopen(self, *, replaced: bool) -> None:
        city = self._city
        known = city.ingested.read
        start = await self.logs.open(city.ownership.partition, None if replaced else known, 0)
        if start.incarnation != known.incarnation:
            self._log.warning("the log was replaced", before=known.incarnation, now=start.incarnation)
            city.begin_log(start)
