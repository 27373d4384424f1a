"""Wakes from Redis: the channels `wake:<city>`. Nothing is lost with Redis but a second (`ports.Wakes`)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import structlog
from google.protobuf.message import DecodeError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from proto.dispatch.v1.live_pb2 import Wake as WakeMessage
from tracking.model import RiderId, Wake

_BACKOFF_S = (0.2, 5.0)


def wake_channel(city: str) -> str:
    """The channel of a city's wakes; `*` for all cities."""
    return f"wake:{city}"


class RedisWakes:
    """`ports.Wakes` by one pattern subscription. Close the client yourself."""

    def __init__(self, client: Redis, log: structlog.stdlib.BoundLogger) -> None:
        self._client = client
        self._log = log

    async def listen(self) -> AsyncIterator[Wake]:
        pause_s = _BACKOFF_S[0]
        while True:
            try:
                async with self._client.pubsub(ignore_subscribe_messages=True) as pubsub:
                    await pubsub.psubscribe(wake_channel("*"))
                    async for message in pubsub.listen():
                        pause_s = _BACKOFF_S[0]
                        wake = self._wake(message["data"])
                        if wake is not None:
                            yield wake
            except (RedisError, OSError) as error:
                self._log.warning("no wakes from Redis; offers are polled", error=repr(error), pause_s=pause_s)
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, _BACKOFF_S[1])

    def _wake(self, data: bytes) -> Wake | None:
        try:
            message = WakeMessage.FromString(data)
        except DecodeError:
            self._log.warning("a wake that is none", size=len(data))
            return None
        return Wake(message.city, tuple(RiderId(rider) for rider in message.rider_ids))
