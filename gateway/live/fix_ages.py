"""Measure the age of fixes as their frames leave for the sockets."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from gateway import metrics
from node.clock import Clock

#: Observed fixes of the sliding window that percentiles are taken over.
WINDOW = 1024
#: Observing costs as much as formatting a frame, so of each batch only the first and every 16th after it is observed.
SAMPLED = 16

_observe = metrics.FIX_TO_SOCKET_MS.observe


class FixAges:
    """A window of ages, wall milliseconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ages_ms: deque[float] = deque(maxlen=WINDOW)

    def pushed(self, fix_ts_ms: Sequence[int]) -> None:
        """Fixes with these domain times were handed to their sockets now; one in `SAMPLED` counts."""
        now_ms = self._clock.wall_ms()
        for ts_ms in fix_ts_ms[::SAMPLED]:
            age_ms = now_ms - self._clock.wall_of_domain_ms(ts_ms)
            self._ages_ms.append(age_ms)
            _observe(age_ms)

    def percentiles_ms(self) -> tuple[float, float] | None:
        """p50 and p99 of the window; None while it is empty."""
        if not self._ages_ms:
            return None
        ordered = sorted(self._ages_ms)
        return ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
