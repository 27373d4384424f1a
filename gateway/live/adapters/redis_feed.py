"""The feed on Redis pub/sub: `live:<city>` for positions, `wake:<city>` for wakes."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress

import structlog
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from gateway import metrics
from gateway.live.adapters import decode
from gateway.live.model import City
from gateway.live.ports import FeedSink
from node.retry import Policy

AGAIN = Policy(0.1, 1.0, of=(RedisError, OSError))
#: A city followed anew is subscribed to this much later at most, wall seconds.
_GLANCE_S = 0.1
#: A connection that is silent is asked whether it lives, wall seconds.
_HEALTH_S = 3


def live_channel(city: City) -> str:
    """Channel of a city's positions."""
    return f"live:{city}"


def wake_channel(city: City) -> str:
    """Channel of a city's wakes."""
    return f"wake:{city}"


class RedisFeed:
    """`CityFeed` on one subscriber connection."""

    def __init__(self, url: str, log: structlog.stdlib.BoundLogger) -> None:
        # No retries inside the driver: it would subscribe again in silence, and nobody would know of the gap.
        self._redis = Redis.from_url(
            url, retry=Retry(NoBackoff(), 0), socket_connect_timeout=1, health_check_interval=_HEALTH_S
        )
        self._log = log
        self._wanted: Counter[City] = Counter()
        self._cities_wanted = asyncio.Event()

    def follow(self, city: City) -> None:
        self._wanted[city] += 1
        self._cities_wanted.set()

    def unfollow(self, city: City) -> None:
        self._wanted[city] -= 1
        if self._wanted[city] <= 0:
            del self._wanted[city]

    async def run(self, sink: FeedSink) -> None:
        await AGAIN.forever(lambda: self._follow(sink), self._lost)

    async def _follow(self, sink: FeedSink) -> None:
        while True:
            await self._cities_wanted.wait()
            pubsub = self._redis.pubsub(ignore_subscribe_messages=True)
            try:
                await self._read(pubsub, await self._subscribe(pubsub, frozenset(), sink), sink)
            finally:
                await _closed(pubsub)

    def _lost(self, error: BaseException, pause_s: float) -> None:
        metrics.FEED_LOST.inc()
        self._log.warning("lost Redis; positions pause", error=repr(error), pause_s=pause_s)

    async def close(self) -> None:
        """Closes the connection."""
        await self._redis.aclose()

    async def _read(self, pubsub: PubSub, have: frozenset[City], sink: FeedSink) -> None:
        """Reads until nothing is wanted any more. `have` is what is subscribed: a city may be wanted since."""
        while have:
            message = await pubsub.get_message(timeout=_GLANCE_S)
            if message is not None:
                _deliver(message["channel"], message["data"], sink)
            if self._wanted.keys() != have:
                have = await self._subscribe(pubsub, have, sink)

    async def _subscribe(self, pubsub: PubSub, have: frozenset[City], sink: FeedSink) -> frozenset[City]:
        wanted = frozenset(self._wanted)
        if not wanted:
            self._cities_wanted.clear()
        if new := wanted - have:
            await pubsub.subscribe(*_channels(new))
        if old := have - wanted:
            await pubsub.unsubscribe(*_channels(old))
        if new:
            sink.gap()
        return wanted


def _channels(cities: frozenset[City]) -> list[str]:
    return [name(city) for city in sorted(cities) for name in (live_channel, wake_channel)]


def _deliver(channel: bytes, data: bytes, sink: FeedSink) -> None:
    try:
        if channel.startswith(b"live:"):
            sink.fixes(*decode.live_positions(data))
        else:
            sink.woken(*decode.wake(data))
    except decode.DecodeError:
        metrics.STALE.labels("malformed").inc()


async def _closed(pubsub: PubSub) -> None:
    with suppress(RedisError, OSError):
        await pubsub.aclose()  # type: ignore[no-untyped-call]
