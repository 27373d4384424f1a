"""`Limits`: the promises of the port, on memory and on real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
import structlog
from redis.asyncio import Redis

from deploy.stack.stack import LocalStack
from gateway.adapters.memory import MemoryLimits
from gateway.adapters.redis_limits import RedisLimits
from gateway.ports import Limits
from node.clock import SystemClock

#: requests a second, burst -> limits
Make = Callable[[float, int], Limits]


@pytest_asyncio.fixture(params=["memory", "redis"], loop_scope="session")
async def make(request: pytest.FixtureRequest, stack: LocalStack) -> AsyncIterator[Make]:
    if request.param == "memory":
        yield lambda per_s, burst: MemoryLimits(SystemClock(), per_s, burst)
        return
    redis = Redis.from_url(stack.env["FORNO_REDIS_URL"])
    yield lambda per_s, burst: RedisLimits(redis, SystemClock(), per_s, burst, structlog.get_logger())
    await redis.aclose()


async def test_a_burst_passes_and_no_more(make: Make, topic_prefix: str) -> None:
    """Exactly `burst` requests pass at once; the next is told how long to wait, at most one request's worth."""
    limits = make(0.1, 5)
    assert [await limits.take(topic_prefix) for _ in range(5)] == [0.0] * 5
    assert 9 < await limits.take(topic_prefix) <= 10


async def test_being_refused_costs_nothing(make: Make, topic_prefix: str) -> None:
    """Asking again while refused does not push the wait further away."""
    limits = make(0.1, 1)
    await limits.take(topic_prefix)
    waits = [await limits.take(topic_prefix) for _ in range(10)]
    assert max(waits) <= 10


async def test_callers_do_not_share_a_bucket(make: Make, topic_prefix: str) -> None:
    """One that is over its limit does not slow another."""
    limits = make(0.1, 1)
    await limits.take(topic_prefix + "ana")
    assert await limits.take(topic_prefix + "ana") > 0
    assert await limits.take(topic_prefix + "ben") == 0.0


async def test_the_bucket_fills_again(make: Make, topic_prefix: str) -> None:
    """Who waits as long as told passes."""
    limits = make(100.0, 1)
    await limits.take(topic_prefix)
    async with asyncio.timeout(5):
        while (wait_s := await limits.take(topic_prefix)) > 0:  # noqa: ASYNC110
            await asyncio.sleep(wait_s)


async def test_everyone_passes_while_redis_is_away() -> None:
    """Open rather than closed: a dead limiter turns nobody away."""
    redis = Redis.from_url("redis://127.0.0.1:1", socket_connect_timeout=0.1)
    limits = RedisLimits(redis, SystemClock(), 0.1, 1, structlog.get_logger())
    assert [await limits.take("ana") for _ in range(3)] == [0.0] * 3
    await redis.aclose()
