"""`CityFeed`: the promises of the port, on memory and on real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
import pytest_asyncio
import structlog
from redis.asyncio import Redis

from deploy.stack.stack import LocalStack
from gateway.live.adapters.memory import MemoryFeed
from gateway.live.adapters.redis_feed import RedisFeed, live_channel, wake_channel
from gateway.live.model import City, LiveFix
from gateway.live.ports import CityFeed
from proto.dispatch.v1 import live_pb2
from tests.unit.gateway.worlds import fix

_DEADLINE_S = 10.0


class Ear:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []
        self.gaps = 0
        self.at_gap: Callable[[], None] = lambda: None

    def fixes(self, city: City, epoch: int, fixes: Sequence[LiveFix]) -> None:
        self.heard.append(("fixes", city, epoch, list(fixes)))

    def woken(self, city: City, epoch: int, order_ids: Sequence[str]) -> None:
        self.heard.append(("woken", city, epoch, list(order_ids)))

    def gap(self) -> None:
        self.gaps += 1
        self.at_gap()


class Bench:
    """A feed, who hears it, and who speaks."""

    def __init__(self, feed: CityFeed, ear: Ear, city: City, redis: Redis | None) -> None:
        self.feed, self.ear, self.city, self.redis = feed, ear, city, redis

    async def say_fixes(self, city: City, epoch: int, *fixes: LiveFix) -> None:
        if isinstance(self.feed, MemoryFeed):
            return await self.feed.publish_fixes(city, epoch, fixes)
        positions = [live_pb2.LivePosition(**item._asdict()) for item in fixes]
        await self.publish(live_channel(city), live_pb2.LivePositions(city=city, epoch=epoch, positions=positions))

    async def say_wake(self, city: City, epoch: int, *order_ids: str) -> None:
        if isinstance(self.feed, MemoryFeed):
            return await self.feed.publish_wake(city, epoch, order_ids)
        await self.publish(wake_channel(city), live_pb2.Wake(city=city, epoch=epoch, order_ids=order_ids))

    async def publish(self, channel: str, message: Any) -> None:
        assert self.redis is not None
        await self.redis.publish(channel, message.SerializeToString())

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(_DEADLINE_S):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    async def listening(self) -> None:
        """Follows the bench's city and waits until the feed says that it begins."""
        gaps = self.ear.gaps
        self.feed.follow(self.city)
        await self.until(lambda: self.ear.gaps > gaps)


@pytest_asyncio.fixture(params=["memory", "redis"], loop_scope="session")
async def bench(request: pytest.FixtureRequest, stack: LocalStack, topic_prefix: str) -> AsyncIterator[Bench]:
    ear, city = Ear(), City(f"{topic_prefix}la-serena")
    url = stack.env["FORNO_REDIS_URL"]
    redis = Redis.from_url(url) if request.param == "redis" else None
    feed = MemoryFeed() if redis is None else RedisFeed(url, structlog.get_logger())
    running = asyncio.create_task(feed.run(ear))
    await asyncio.sleep(0)
    yield Bench(feed, ear, city, redis)
    running.cancel()
    await asyncio.wait({running})
    if isinstance(feed, RedisFeed):
        await feed.close()
    if redis is not None:
        await redis.aclose()


async def test_what_is_said_of_a_followed_city_is_heard(bench: Bench) -> None:
    """Fixes and wakes arrive with every field, in the order in which they were said."""
    await bench.listening()
    await bench.say_fixes(bench.city, 7, fix(1), fix(2, picked_up=True))
    await bench.say_wake(bench.city, 7, "one", "two")
    await bench.until(lambda: len(bench.ear.heard) == 2)
    assert bench.ear.heard == [
        ("fixes", bench.city, 7, [fix(1), fix(2, picked_up=True)]),
        ("woken", bench.city, 7, ["one", "two"]),
    ]


async def test_cities_that_nobody_follows_are_not_heard(bench: Bench) -> None:
    """Neither one never followed nor one let go."""
    await bench.listening()
    other = City(bench.city + "-other")
    await bench.say_wake(other, 1, "unheard")
    await bench.say_wake(bench.city, 1, "heard")
    await bench.until(lambda: len(bench.ear.heard) == 1)
    assert bench.ear.heard[0][3] == ["heard"]


async def test_a_city_is_heard_as_long_as_somebody_follows_it(bench: Bench) -> None:
    """Follow twice, let go once: still heard."""
    await bench.listening()
    bench.feed.follow(bench.city)
    bench.feed.unfollow(bench.city)
    await bench.say_wake(bench.city, 1, "heard")
    await bench.until(lambda: len(bench.ear.heard) == 1)


async def test_a_city_wanted_just_as_the_first_one_begins_is_heard(bench: Bench) -> None:
    """A city is followed between the subscription of the first and the first read; it is not taken for subscribed."""
    other = City(bench.city + "-other")

    def once() -> None:
        bench.ear.at_gap = lambda: None
        bench.feed.follow(other)

    bench.ear.at_gap = once
    await bench.listening()
    async with asyncio.timeout(_DEADLINE_S):
        while not bench.ear.heard:
            await bench.say_wake(other, 1, "heard")
            await asyncio.sleep(0.02)
    assert bench.ear.heard[0][1] == other


@pytest.mark.parametrize("bench", ["redis"], indirect=True)
async def test_a_broken_line_is_a_gap_and_then_goes_on(bench: Bench) -> None:
    """The server throws every subscriber out; the feed comes back by itself and says that it had been away."""
    assert bench.redis is not None
    await bench.listening()
    gaps = bench.ear.gaps
    await bench.redis.client_kill_filter(_type="pubsub")
    await bench.until(lambda: bench.ear.gaps > gaps)
    await bench.say_wake(bench.city, 1, "after")
    await bench.until(lambda: bool(bench.ear.heard))


@pytest.mark.parametrize("bench", ["redis"], indirect=True)
async def test_a_message_that_is_none_harms_nobody(bench: Bench) -> None:
    """What cannot be read is dropped, and the next one is heard."""
    assert bench.redis is not None
    await bench.listening()
    await bench.redis.publish(live_channel(bench.city), b"\xff\xff\xff not protobuf")
    await bench.say_wake(bench.city, 1, "after")
    await bench.until(lambda: bool(bench.ear.heard))
    assert bench.ear.heard[0][0] == "woken"
