"""Recent orders in Redis, bounded by number (the least recently used go first) and by age.

An entry is an order at a version. Whoever changes an order says its new version after the commit, which leaves an empty
entry; whoever reads one keeps it only if no newer version is known. So a reader that was slow, and writes what it read
before the change, is refused. When Redis does not answer, nothing is asked of it for a moment; when it may have missed
a change, this process reads nothing from it until every entry of before has run out; so it begins, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Any, cast

import orjson
import structlog
from pydantic import TypeAdapter, ValidationError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from node.clock import Clock
from orders.model import Order, OrderId
from orders.ordering.metrics import CACHE

#: An entry is at most this old, wall seconds.
LIFE_S = 30.0
#: Redis is waited for no longer, wall seconds: a read of the database takes about as long.
TIMEOUT_S = 0.05
#: After a failure it is left alone for so long, wall seconds.
PAUSE_S = 1.0

_PREFIX = "{orders}:order:"
_USE = "{orders}:use"
_ORDER = TypeAdapter(Order)
_FAILURES = (RedisError, OSError, TimeoutError)


class RedisRecent:
    """`RecentOrders` in Redis; `most` orders at most."""

    def __init__(self, redis: Redis, most: int, clock: Clock, log: structlog.stdlib.BoundLogger) -> None:
        folder = Path(__file__).parent
        self._redis = redis
        self._find = redis.register_script((folder / "find.lua").read_text())
        self._keep = redis.register_script((folder / "keep.lua").read_text())
        self._most = most
        self._clock = clock
        self._log = log
        #: Until then, monotonic seconds: nothing is asked, and nothing that is read is believed.
        self._paused_until_s = 0.0
        # A process that ended in the middle of a change, this one's predecessor perhaps, said nothing of it.
        self._distrusted_until_s = clock.monotonic_s() + LIFE_S

    async def find(self, order_id: OrderId) -> Order | None:
        now_s = self._clock.monotonic_s()
        if now_s < max(self._paused_until_s, self._distrusted_until_s):
            CACHE.labels("passed").inc()
            return None
        found = await self._asked(self._find(keys=[_USE], args=[_PREFIX, self._clock.wall_ms(), order_id]))
        order = _decoded(found) if found else None
        CACHE.labels("hit" if order is not None else "miss").inc()
        return order

    async def keep(self, order: Order) -> None:
        if self._clock.monotonic_s() >= max(self._paused_until_s, self._distrusted_until_s):
            await self._told([order.order_id, order.version, orjson.dumps(order)])

    async def changed(self, orders: Sequence[tuple[OrderId, int]]) -> None:
        entries = [part for order_id, version in orders for part in (order_id, version, b"")]
        if entries and not await self._told(entries):
            self.distrust()

    def distrust(self) -> None:
        self._distrusted_until_s = self._clock.monotonic_s() + LIFE_S

    async def _told(self, entries: Sequence[Any]) -> bool:
        if self._clock.monotonic_s() < self._paused_until_s:
            return False
        args = [_PREFIX, self._clock.wall_ms(), self._most, int(1000 * LIFE_S), *entries]
        return await self._asked(self._keep(keys=[_USE], args=args)) is not None

    async def _asked(self, call: object) -> Any:
        """The answer; None when there is none in time."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await cast(Awaitable[Any], call)
        except _FAILURES as error:
            CACHE.labels("away").inc()
            self._paused_until_s = self._clock.monotonic_s() + PAUSE_S
            self._log.warning("the cache of orders did not answer", error=repr(error))
            return None


def _decoded(body: bytes) -> Order | None:
    """The order; None when another release wrote it otherwise."""
    try:
        return _ORDER.validate_json(body)
    except ValidationError:
        return None
