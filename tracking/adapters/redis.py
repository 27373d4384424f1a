"""Wakes from Redis: the channels `wake:<city>`. Nothing is lost with Redis but a second (`ports.Wakes`)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import structlog
from google.protobuf.message import DecodeError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from node.retry import QUICK, warned
from proto.dispatch.v1.live_pb2 import Wake as WakeMessage
from tracking.model import RiderId, Wake

_AGAIN = replace(QUICK, of=(RedisError, OSError))


def wake_channel(city: str) -> str:
    """The channel of a city's wakes; `*` for all cities."""
    return f"wake:{city}"


class SubscriptionEnded(RedisError):
    """The driver says without an error that nothing is subscribed to any more."""


class RedisWakes:
    """`ports.Wakes` by one pattern subscription. Close the client yourself."""

    def __init__(self, client: Redis, log: structlog.stdlib.BoundLogger) -> None:
        self._client = client
        self._log = log

    async def listen(self) -> AsyncIterator[Wake]:
        async for attempt in _AGAIN.attempts(warned(self._log, "no wakes from Redis; offers are polled")):
            with attempt:
                async with self._client.pubsub(ignore_subscribe_messages=True) as pubsub:
                    await pubsub.psubscribe(wake_channel("*"))
                    async for message in pubsub.listen():
                        wake = self._wake(message["data"])
                        if wake is not None:
                            yield wake
                raise SubscriptionEnded

    def _wake(self, data: bytes) -> Wake | None:
        try:
            message = WakeMessage.FromString(data)
        except DecodeError:
            self._log.warning("a wake that is none", size=len(data))
            return None
        return Wake(message.city, tuple(RiderId(rider) for rider in message.rider_ids))
