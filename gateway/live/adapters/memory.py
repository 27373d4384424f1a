"""Orders, feeds and streams in memory, for tests; they keep the promises of `ports.py`."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence

from gateway.live.model import City, CityFrame, LiveFix, OrderFacts, OrderId, StatusEvent, Track
from gateway.live.ports import FeedSink
from node.errors import NotFound, Retryable


class MemoryOrders:
    """`OrderSource` from two dicts that a test fills."""

    def __init__(self) -> None:
        self.orders: dict[OrderId, OrderFacts] = {}
        self.tracks: dict[OrderId, Track] = {}
        self.away = False

    async def facts(self, order_id: OrderId) -> OrderFacts:
        self._check()
        if order_id not in self.orders:
            raise NotFound(f"there is no order {order_id}")
        return self.orders[order_id]

    async def track(self, city: City, order_id: OrderId, after_seq: int) -> Track | None:
        self._check()
        track = self.tracks.get(order_id)
        if track is None:
            return None
        events: tuple[StatusEvent, ...] = tuple(event for event in track.events if event.seq > after_seq)
        return Track(track.status, events, track.epoch, track.rider, track.eta_ms, track.eta_p90_ms, track.stops)

    def _check(self) -> None:
        if self.away:
            raise Retryable("the service is away")


class MemoryFeed:
    """`CityFeed` that delivers what a test publishes for the cities that are followed."""

    def __init__(self) -> None:
        self._wanted: Counter[City] = Counter()
        self._sink: FeedSink | None = None

    def follow(self, city: City) -> None:
        self._wanted[city] += 1
        if self._sink is not None and self._wanted[city] == 1:
            self._sink.gap()

    def unfollow(self, city: City) -> None:
        self._wanted[city] -= 1

    async def run(self, sink: FeedSink) -> None:
        self._sink = sink
        sink.gap()
        await asyncio.Event().wait()

    async def publish_fixes(self, city: City, epoch: int, fixes: Sequence[LiveFix]) -> None:
        """Publish positions, as dispatch does on `live:<city>`."""
        if self._sink is not None and self._wanted[city] > 0:
            self._sink.fixes(city, epoch, list(fixes))

    async def publish_wake(self, city: City, epoch: int, order_ids: Sequence[str]) -> None:
        """Publish a wake, as dispatch does on `wake:<city>`."""
        if self._sink is not None and self._wanted[city] > 0:
            self._sink.woken(city, epoch, list(order_ids))


class MemoryStreams:
    """`CityStreams` from a queue a city that a test fills."""

    def __init__(self) -> None:
        self.queues: dict[City, asyncio.Queue[CityFrame]] = {}

    def queue(self, city: City) -> asyncio.Queue[CityFrame]:
        """The frames to come of a city."""
        return self.queues.setdefault(city, asyncio.Queue(maxsize=100))

    async def watch(self, city: City) -> AsyncIterator[CityFrame]:
        while True:
            yield await self.queue(city).get()
