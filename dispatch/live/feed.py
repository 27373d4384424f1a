"""The hot path's last step in the shard: positions of riders with orders, published as soon as they are applied.

Latest only: while a publish is under way, newer positions of the same order replace older ones, so a slow Redis makes
frames rarer, never older, and holds at most one position an order.
"""

from __future__ import annotations

import asyncio

import numpy as np
import structlog

from dispatch.index import FixColumns
from dispatch.live.city import City, Watched
from dispatch.live.ports import Announcements, LivePosition
from dispatch.metrics import CityMetrics
from node.clock import Clock
from node.errors import Retryable

#: After a failed publish, wall seconds.
_PAUSE_S = 0.2


class LiveFeed:
    """Publishes the live positions of one city."""

    def __init__(
        self,
        city: City,
        announcements: Announcements,
        clock: Clock,
        metrics: CityMetrics,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._city = city
        self._announcements = announcements
        self._clock = clock
        self._metrics = metrics
        self._log = log
        self._watched = Watched()
        self._last: FixColumns | None = None
        self._waiting: dict[str, LivePosition] = {}
        self._there = asyncio.Event()

    def applied(self) -> None:
        """Takes the watched riders that moved since the last call. Call it right after fixes were applied."""
        watched = self._city.watched
        if not len(watched.rider_ids):
            return
        last = self._city.positions.positions_of(watched.rider_ids, 0)[0]
        known, self._last = self._last, last
        same = known is not None and np.array_equal(watched.rider_ids, self._watched.rider_ids)
        self._watched = watched
        if same and known is not None:
            last = last.take((last.seq != known.seq) | (last.session != known.session))
        for position in _positions(watched, last):
            self._waiting[position.order_id] = position
        if self._waiting:
            self._there.set()

    @property
    def waiting(self) -> list[LivePosition]:
        """Positions that will be published next."""
        return list(self._waiting.values())

    async def run(self) -> None:
        """Publishes until cancelled."""
        while True:
            await self._there.wait()
            self._there.clear()
            positions, self._waiting = list(self._waiting.values()), {}
            try:
                await self._announcements.positions(self._city.name, self._city.epoch, positions)
                sent_ms = self._clock.wall_of_domain_ms(positions[-1].ts_ms)
                self._metrics.published_age_ms.observe(self._clock.wall_ms() - sent_ms)
            except Retryable as error:
                self._log.warning("live positions not published", error=str(error))
                await asyncio.sleep(_PAUSE_S)


def _positions(watched: Watched, fixes: FixColumns) -> list[LivePosition]:
    """One entry an order of these riders; riders never seen have no session and are left out."""
    columns = (
        fixes.rider_id,
        fixes.session,
        fixes.seq,
        fixes.ts_ms,
        fixes.lat_e7,
        fixes.lng_e7,
        fixes.heading_cdeg,
    )
    return [
        LivePosition(carried.order_id, rider, lat, lng, ts, session, seq, heading, carried.eta_ms, carried.picked_up)
        for rider, session, seq, ts, lat, lng, heading in zip(*(c.tolist() for c in columns), strict=True)
        if session
        for carried in watched.orders.get(rider, ())
    ]
