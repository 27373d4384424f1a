"""Show operators a whole city: one stream from its owner, however many watch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import structlog

from gateway import metrics
from gateway.live import frames
from gateway.live.fix_ages import FixAges
from gateway.live.model import City, CityFrame, LiveFix
from gateway.live.ports import CityFeed, CityStreams
from gateway.live.socket_queue import SocketQueue
from node.errors import Invalid, Rejected, Retryable
from node.retry import Policy, warned

_AGAIN = Policy(0.5, 0.5, of=(Retryable, Rejected))
#: Wall seconds between two frames about the system itself.
STATS_S = 1.0


class OperatorHub:
    """Viewers of cities. It is the `FeedSink` of the cities in view, for motion between two whole frames."""

    def __init__(
        self,
        streams: CityStreams,
        feed: CityFeed,
        map_now: Callable[[], Mapping[str, Any]],
        ages: FixAges,
        clock_line: Mapping[str, float],
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._streams = streams
        self._feed = feed
        #: The map of cities and shards as JSON.
        self._map_now = map_now
        self._ages = ages
        self._clock_line = clock_line
        self._log = log
        self._viewers: set[SocketQueue] = set()
        self._first = asyncio.Event()
        self._cities: dict[City, asyncio.Task[None]] = {}
        self._last: dict[City, CityFrame] = {}

    @property
    def viewers(self) -> int:
        """Open ops sockets."""
        return len(self._viewers)

    def hello(self) -> bytes:
        """The first frame, and the one that stands for all missed ones."""
        return frames.json_frame({"type": "hello", "clock": self._clock_line, **self._map_now()})

    def join(self, queue: SocketQueue) -> None:
        """Adds a viewer: it gets the last frame of each city at once."""
        if not self._viewers:
            self._first.set()
        self._viewers.add(queue)
        queue.event(self.hello())
        for city, last in self._last.items():
            queue.latest(f"city:{city}", last.frame)

    def leave(self, queue: SocketQueue) -> None:
        """Removes it. The streams end at the next round when nobody is left."""
        self._viewers.discard(queue)

    async def run(self) -> None:
        """Streams what viewers want until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._follow_cities(group)
                self._tell_stats()
                await self._pause()

    async def _pause(self) -> None:
        """Wait until the next round, or until the first viewer comes."""
        with suppress(TimeoutError):
            async with asyncio.timeout(STATS_S):
                await self._first.wait()
        self._first.clear()

    def fixes(self, city: City, epoch: int, fixes: Sequence[LiveFix]) -> None:
        last = self._last.get(city)
        if not self._viewers or (last is not None and epoch < last.epoch):
            return
        moves = [[str(fix.rider_id), fix.lat_e7, fix.lng_e7, fix.ts_ms] for fix in fixes]
        self._tell(f"moves:{city}", frames.json_frame({"type": "moves", "city": city, "epoch": epoch, "moves": moves}))

    def woken(self, city: City, epoch: int, order_ids: Sequence[str]) -> None:
        """Whole frames come soon enough."""

    def gap(self) -> None:
        """Whole frames heal any gap."""

    def _follow_cities(self, group: asyncio.TaskGroup) -> None:
        wanted = {City(city["city"]) for city in self._map_now()["cities"]} if self._viewers else set()
        for city in wanted - self._cities.keys():
            self._feed.follow(city)
            self._cities[city] = group.create_task(self._stream(city), name=f"ops-{city}")
        for city in self._cities.keys() - wanted:
            self._feed.unfollow(city)
            self._cities.pop(city).cancel()
            self._last.pop(city, None)

    async def _stream(self, city: City) -> None:
        async def watch() -> None:
            async for frame in self._streams.watch(city):
                self._whole(frame)

        try:
            await _AGAIN.forever(watch, warned(self._log, "lost the stream of a city", city=city))
        except Invalid as error:  # it has just left the map, or will be refused for ever
            self._log.error("a city is not streamed", city=city, error=str(error))

    def _whole(self, frame: CityFrame) -> None:
        last = self._last.get(frame.city)
        if last is not None and frame.epoch < last.epoch:
            metrics.STALE.labels("epoch").inc()
            return
        self._last[frame.city] = frame
        self._tell(f"city:{frame.city}", frame.frame)

    def _tell_stats(self) -> None:
        if not self._viewers:
            return
        found = self._ages.percentiles_ms()
        fix_to_socket = None if found is None else {"p50_ms": round(found[0], 1), "p99_ms": round(found[1], 1)}
        stats = {"type": "stats", "viewers": len(self._viewers), "fix_to_socket": fix_to_socket, **self._map_now()}
        self._tell("stats", frames.json_frame(stats))

    def _tell(self, key: str, frame: bytes) -> None:
        for queue in self._viewers:
            queue.latest(key, frame)
