"""Wakes: the memory ones and Redis keep the same promises (`tracking.ports.Wakes`)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import pytest
import pytest_asyncio
import structlog
from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from deploy.stack.stack import LocalStack
from proto.dispatch.v1.live_pb2 import Wake as WakeMessage
from tracking.adapters.memory import MemoryWakes
from tracking.adapters.redis import RedisWakes, wake_channel
from tracking.model import RiderId, Wake
from tracking.ports import Wakes

#: Wakes are sent again until one is heard: a subscription takes a moment to stand.
Publish = Callable[[Wake], Awaitable[object]]


@pytest_asyncio.fixture(loop_scope="session", params=["memory", "redis"])
async def wakes(request: pytest.FixtureRequest, stack: LocalStack) -> AsyncIterator[tuple[Wakes, Publish]]:
    """Each kind, and how to wake it."""
    if request.param == "memory":
        memory = MemoryWakes()
        yield memory, memory.queue.put
        return
    client = Redis.from_url(stack.env["FORNO_REDIS_URL"])

    async def publish(wake: Wake) -> None:
        await client.publish(wake_channel(wake.city), b"\xff not a wake")
        message = WakeMessage(city=wake.city, epoch=3, rider_ids=wake.rider_ids, order_ids=["o"])
        await client.publish(wake_channel(wake.city), message.SerializeToString())

    yield RedisWakes(client, structlog.get_logger()), publish
    await client.aclose()


async def test_a_wake_arrives_with_its_riders(wakes: tuple[Wakes, Publish]) -> None:
    """What was published while somebody listens is heard; what is no wake is passed over."""
    source, publish = wakes
    wanted = Wake("wake-city", (RiderId(1), RiderId((1 << 64) - 1)))

    async def hear() -> Wake:
        async with aclosing(source.listen()) as heard:  # type: ignore[type-var]
            async for wake in heard:
                if wake.city == wanted.city:
                    return wake
        raise AssertionError("wakes end never")

    hearing = asyncio.create_task(hear())
    async with asyncio.timeout(10):
        while not hearing.done():
            await publish(wanted)
            await asyncio.wait([hearing], timeout=0.05)
    assert hearing.result() == wanted


async def test_a_subscription_that_ends_without_an_error_is_made_again(
    stack: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one is over at once: wakes are heard by the second."""
    listen, ends = PubSub.listen, iter([True])

    async def over_at_first(self: PubSub) -> AsyncIterator[Any]:
        if next(ends, False):
            return
        async for message in listen(self):
            yield message

    monkeypatch.setattr(PubSub, "listen", over_at_first)
    client = Redis.from_url(stack.env["FORNO_REDIS_URL"])
    wakes = RedisWakes(client, structlog.get_logger()).listen()
    hearing = asyncio.ensure_future(anext(wakes))
    async with asyncio.timeout(10):
        while not hearing.done():
            message = WakeMessage(city="quiet-city", epoch=3, rider_ids=[5])
            await client.publish(wake_channel("quiet-city"), message.SerializeToString())
            await asyncio.wait([hearing], timeout=0.05)
    assert hearing.result() == Wake("quiet-city", (RiderId(5),))
    await client.aclose()
