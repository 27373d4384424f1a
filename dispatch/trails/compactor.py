"""Archives the hours of all cities as they become old enough, until it is stopped."""

from __future__ import annotations

import structlog

from dispatch.trails import metrics
from dispatch.trails.compact import compact
from dispatch.trails.errors import ArchiveBroken
from dispatch.trails.model import HOUR_MS
from dispatch.trails.ports import OpenHours, TrailArchive
from node.clock import Clock
from node.retry import every

#: Between two looks for open hours, wall seconds.
EVERY_S = 60.0


class Compactor:
    """Moves hours of trails to the archive. One is enough; two do the same work twice and harm nothing."""

    def __init__(
        self,
        hot: OpenHours,
        archive: TrailArchive,
        clock: Clock,
        log: structlog.stdlib.BoundLogger,
        *,
        error_m: float,
        keep_h: int,
        late_ms: int,
    ) -> None:
        self._hot = hot
        self._archive = archive
        self._clock = clock
        self._log = log
        self._error_m = error_m
        self._keep_h = keep_h
        self._late_ms = late_ms

    async def run(self) -> None:
        """Looks now and then. What fails is tried again at the next look."""
        await every(EVERY_S, self.round, self._failed)

    def _failed(self, error: BaseException, pause_s: float) -> None:
        metrics.FAILURES.inc()
        self._log.warning("trails not archived", error=str(error), pause_s=pause_s)

    async def round(self) -> int:
        """Archives every hour that is open and old enough; how many. Raises `Retryable`."""
        return sum([await self._city(city) for city in await self._hot.cities()])

    async def _city(self, city: str) -> int:
        done, ripe = 0, (self._clock.domain_ms() - self._late_ms) // HOUR_MS - 1
        oldest = hour = await self._hot.next_open(city, 0)
        while hour is not None and hour <= ripe:
            done += await self._hour(city, hour)
            hour = await self._hot.next_open(city, hour + 1)
        late_s = 0.0 if oldest is None else self._clock.domain_ms() / 1000 - (oldest + 1) * HOUR_MS / 1000
        metrics.OPEN_AGE_S.labels(city).set(max(0.0, late_s))
        return done

    async def _hour(self, city: str, hour: int) -> int:
        try:
            made = await compact(self._hot, self._archive, city, hour, self._error_m, self._keep_h)
        except ArchiveBroken as error:
            metrics.FAILURES.inc()
            self._log.error("an hour of trails does not keep its promise; it stays hot", city=city, error=str(error))
            return 0
        metrics.HOURS.inc()
        metrics.FIXES.inc(made.fixes)
        metrics.POINTS.inc(made.points)
        self._log.info(
            "trails archived", city=city, hour=hour, riders=made.riders, fixes=made.fixes, points=made.points
        )
        return 1
