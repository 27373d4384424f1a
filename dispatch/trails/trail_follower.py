"""Read a city's pings and write its riders' trails, from an own position in the log: it may lag by hours."""

from __future__ import annotations

import structlog

from dispatch.logs.cut import Cut
from dispatch.logs.ports import CityLogs
from dispatch.metrics import VIEW_BEHIND_MS, VIEW_FAILURES, VIEW_LAG_MS
from dispatch.trails.ports import TrailStore
from node.clock import Clock
from node.retry import PATIENT
from proto.fix_columns import FixColumns
from shard_router.topology import Ownership

#: Fixes held back at most; with more they are written at once, and reading waits meanwhile.
MAX_WAITING = 200_000
#: Fixes are held back this long, wall seconds, because every write touches the document of a rider's whole minute.
FLUSH_EVERY_S = 15.0
#: After a flush the store rests so many times as long as it took, so that a slow one is not kept busy; less when the
#: trails are further behind than this, wall ms: they must catch up.
REST, REST_BEHIND, BEHIND_MS = 6.0, 0.5, 120_000


class TrailFollower:
    """Writes the trails of one city's riders."""

    def __init__(
        self,
        ownership: Ownership,
        logs: CityLogs,
        store: TrailStore,
        clock: Clock,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._ownership = ownership
        self._logs = logs
        self._store = store
        self._clock = clock
        self._log = log
        self._waiting: list[FixColumns] = []
        self._count = 0
        self._read = Cut("", 0, 0, 0)
        #: When the oldest batch that was read and is not in the trails was packed by its edge, wall ms; 0: none.
        self._oldest_ms = 0
        #: When the last flush that ended well began, wall ms: with nothing read since, it is not known what waits.
        self._since_ms = clock.wall_ms()
        self._failures = VIEW_FAILURES.labels("trail")
        self._lag_ms = VIEW_LAG_MS.labels("trail")
        self._behind_ms = VIEW_BEHIND_MS.labels(ownership.city, "trail")

    async def run(self) -> None:
        """Reads and writes until cancelled; after a failure it goes back to its stored position."""
        try:
            await PATIENT.forever(self._follow, self._failed)
        finally:
            await self._logs.close()

    def _failed(self, error: BaseException, pause_s: float) -> None:
        self._failures.inc()
        self._behind_ms.set(self._clock.wall_ms() - (self._oldest_ms or self._since_ms))
        self._log.warning("trails wait", error=str(error), pause_s=pause_s)

    async def _follow(self) -> None:
        own = self._ownership
        self._waiting, self._count = [], 0  # read again; the oldest of it is still not in the trails
        self._read = await self._logs.open(own.partition, await self._store.position(own.city), 0)
        flush_at_s = self._clock.monotonic_s() + FLUSH_EVERY_S
        while True:
            read = await self._logs.read(1.0)
            for fixes in read.fixes:
                self.take(fixes)
            self._oldest_ms = self._oldest_ms or read.packed_wall_ms
            self._read = read.cut
            began_s = self._clock.monotonic_s()
            if self._count >= MAX_WAITING or began_s >= flush_at_s:
                behind = self._lag() > BEHIND_MS
                await self.flush()
                ended_s = self._clock.monotonic_s()
                rest_s = (REST_BEHIND if behind else REST) * (ended_s - began_s)
                flush_at_s = ended_s + (rest_s if behind else max(FLUSH_EVERY_S, rest_s))

    def take(self, fixes: FixColumns) -> None:
        """Adds fixes to those that wait."""
        self._waiting.append(fixes)
        self._count += len(fixes)

    async def flush(self) -> None:
        """Writes what waits, then how far it goes. Raises `Retryable`."""
        own, began_ms = self._ownership, self._clock.wall_ms()
        if self._waiting:
            await self._store.write(own.city, own.epoch, FixColumns.concat(self._waiting))
        await self._store.advance(own.city, own.epoch, self._read)
        if self._oldest_ms:
            self._lag_ms.observe(self._lag())
        self._behind_ms.set(self._lag())
        self._waiting, self._count, self._oldest_ms = [], 0, 0
        self._since_ms = began_ms

    def _lag(self) -> float:
        """Age of the oldest fix that is durable and not yet in the trails, wall ms."""
        return float(self._clock.wall_ms() - self._oldest_ms) if self._oldest_ms else 0.0
