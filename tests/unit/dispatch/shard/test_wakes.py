"""Wakes while Redis is away."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import structlog

from dispatch.engine.model import OrderId, RiderId
from dispatch.shard.adapters.memory import MemoryAnnouncements
from dispatch.shard.wakes import WAITING_IDS, Wakes
from node.errors import Retryable
from tests.unit.dispatch.shard.memory_city import MemoryCity


class RedisAtHand(MemoryAnnouncements):
    """Away or there, as a test wants it."""

    away = True

    async def wake(self, city: str, epoch: int, order_ids: Sequence[str], rider_ids: Sequence[int]) -> None:
        if self.away:
            raise Retryable("redis is away")
        await super().wake(city, epoch, order_ids, rider_ids)


async def test_what_could_not_be_said_is_said_later() -> None:
    """The ids of a wake that failed go out with the next one, and never more of them wait than there is room for."""
    redis, runner = RedisAtHand(), await MemoryCity().owner()
    wakes = Wakes(runner.city, redis, structlog.get_logger())
    wakes.changed([OrderId("o-1")], [RiderId(1)])
    with pytest.raises(Retryable):
        await wakes.publish()
    wakes.changed([OrderId(f"p-{n}") for n in range(2 * WAITING_IDS)], [RiderId(2)])
    with pytest.raises(Retryable):
        await wakes.publish()
    redis.away = False
    await wakes.publish()
    (_, _, orders, riders) = redis.wakes[0]
    assert "o-1" in orders
    assert (len(orders), riders) == (WAITING_IDS, [1, 2])
