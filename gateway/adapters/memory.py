"""Limits of one process alone; the same arithmetic as `gcra.lua`."""

from __future__ import annotations

from node.clock import Clock


class MemoryLimits:
    """`Limits` in a dict, for tests and for a gateway that runs alone."""

    def __init__(self, clock: Clock, per_s: float, burst: int) -> None:
        self._clock = clock
        self._cost_s = 1 / per_s
        self._burst = burst
        self._arrival_s: dict[str, float] = {}

    async def take(self, key: str) -> float:
        now_s = self._clock.monotonic_s()
        arrival_s = max(self._arrival_s.get(key, now_s), now_s) + self._cost_s
        wait_s = arrival_s - self._cost_s * self._burst - now_s
        if wait_s > 0:
            return wait_s
        self._arrival_s[key] = arrival_s
        return 0.0
