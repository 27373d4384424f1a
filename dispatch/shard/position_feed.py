"""Publish positions of riders with orders as soon as they are applied.

Latest only: while a publish is under way, newer positions of the same order replace older ones, so a slow Redis makes
frames rarer, never older, and holds at most one position an order.
"""

from __future__ import annotations

import asyncio

import numpy as np
import structlog

from dispatch.metrics import CityMetrics
from dispatch.positions.rows import Ids
from dispatch.shard.live_city import LiveCity, WatchedRiders
from dispatch.shard.ports import Announcements, LivePosition
from node.clock import Clock
from node.retry import Policy, warned
from proto.fix_columns import FixColumns

NOBODY: Ids = np.zeros(0, np.uint64)

#: Customers wait for the next position: Redis is tried again soon.
_AGAIN = Policy(0.05, 0.2)


class PositionFeed:
    """Publishes the live positions of one city."""

    def __init__(
        self,
        city: LiveCity,
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
        self._watched = WatchedRiders()
        self._waiting: dict[str, LivePosition] = {}
        self._there = asyncio.Event()

    def applied(self, moved: Ids) -> None:
        """Takes those of the riders that moved who are watched, and all whose watching began since the last call.

        Call it right after fixes were applied. It costs by what moved, however many are watched.
        """
        watched = self._city.watched
        if watched is not self._watched:
            new = np.setdiff1d(watched.rider_ids, self._watched.rider_ids, assume_unique=True)
            moved = np.union1d(moved, new)
            self._watched = watched
        wanted = _among(watched.rider_ids, moved)
        if not len(wanted):
            return
        for position in _positions(watched, self._city.ingested.positions.positions_of(wanted, 0)[0]):
            self._waiting[position.order_id] = position
        if self._waiting:
            self._there.set()

    @property
    def waiting(self) -> list[LivePosition]:
        """Positions that will be published next."""
        return list(self._waiting.values())

    def take(self) -> list[LivePosition]:
        """The positions to publish now; they wait no more."""
        self._there.clear()
        positions, self._waiting = self.waiting, {}
        return positions

    async def run(self) -> None:
        """Publishes until cancelled; positions that could not be published are not published again."""
        await _AGAIN.forever(self._publish, warned(self._log, "live positions not published"))

    async def _publish(self) -> None:
        while True:
            await self._there.wait()
            positions = self.take()
            await self._announcements.positions(self._city.name, self._city.epoch, positions)
            sent_ms = self._clock.wall_of_domain_ms(positions[-1].ts_ms)
            self._metrics.published_age_ms.observe(self._clock.wall_ms() - sent_ms)


def _among(known: Ids, asked: Ids) -> Ids:
    """Find the ids of `asked` that are in `known`, which is sorted."""
    if not len(known):
        return NOBODY
    at = np.searchsorted(known, asked)
    at[at == len(known)] = 0
    found: Ids = asked[known[at] == asked]
    return found


def _positions(watched: WatchedRiders, fixes: FixColumns) -> list[LivePosition]:
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
