"""Wakes of one city: what ticks changed, published beside the ticks and never awaited by one.

While a publish is under way, or Redis is away, ids come together and go out with the next one. A wake that is lost all
the same costs what everybody's polls take.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from itertools import islice

import structlog

from dispatch.engine.model import OrderId, RiderId
from dispatch.shard.live_city import LiveCity
from dispatch.shard.ports import Announcements
from node.errors import Retryable
from node.retry import QUICK, warned

#: Ids of each kind that wait at most; the rest is left to the polls.
WAITING_IDS = 10_000


class Wakes:
    """Publishes the wakes of one city."""

    def __init__(self, city: LiveCity, announcements: Announcements, log: structlog.stdlib.BoundLogger) -> None:
        self._city = city
        self._announcements = announcements
        self._log = log
        self._orders: set[OrderId] = set()
        self._riders: set[RiderId] = set()
        self._there = asyncio.Event()

    def changed(self, orders: Iterable[OrderId], riders: Iterable[RiderId]) -> None:
        """Says what a tick changed. Call it after the commit."""
        self._orders.update(islice(orders, WAITING_IDS - len(self._orders)))
        self._riders.update(islice(riders, WAITING_IDS - len(self._riders)))
        self._there.set()

    async def run(self) -> None:
        """Publishes until cancelled."""
        while True:
            await self._there.wait()
            await QUICK.until_done(self.publish, warned(self._log, "wake not published"))

    async def publish(self) -> None:
        """One wake with everything that waits. Raises `Retryable`; all of it waits on then."""
        self._there.clear()
        orders, self._orders = self._orders, set()
        riders, self._riders = self._riders, set()
        try:
            await self._announcements.wake(self._city.name, self._city.epoch, sorted(orders), sorted(riders))
        except Retryable:
            self.changed(orders, riders)
            raise
