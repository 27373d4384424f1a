"""Limits in Redis, by one Lua script (GCRA)."""

from __future__ import annotations

from pathlib import Path

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway import metrics
from node.clock import Clock

_SCRIPT = (Path(__file__).parent / "gcra.lua").read_text()

#: After a failure Redis is not asked for so long, monotonic seconds: a dead store must not slow each request.
REST_S = 1.0


def bucket_key(key: str) -> str:
    """The Redis key of a bucket."""
    return f"limit:{key}"


class RedisLimits:
    """`Limits` on Redis: `per_s` requests a second, `burst` at once. Open while Redis is away."""

    def __init__(self, redis: Redis, clock: Clock, per_s: float, burst: int, log: structlog.stdlib.BoundLogger) -> None:
        self._script = redis.register_script(_SCRIPT)
        self._clock = clock
        self._cost_ms = 1000 / per_s
        self._burst = burst
        self._log = log
        self._rest_until_s = 0.0

    async def take(self, key: str) -> float:
        if self._clock.monotonic_s() < self._rest_until_s:
            metrics.LIMITS_OPEN.inc()
            return 0.0
        try:
            wait_ms = await self._script(keys=[bucket_key(key)], args=[self._cost_ms, self._burst])
        except (RedisError, OSError, TimeoutError) as error:
            metrics.LIMITS_OPEN.inc()
            self._rest_until_s = self._clock.monotonic_s() + REST_S
            self._log.warning("limits are open: Redis does not answer", error=repr(error))
            return 0.0
        return float(wait_ms) / 1000
