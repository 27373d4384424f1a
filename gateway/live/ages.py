"""How old fixes are when their frames leave: the last hop of fix-to-screen that a server can see."""

from __future__ import annotations

from collections import deque

from gateway import metrics
from node.clock import Clock

#: Fixes of the sliding window that percentiles are taken over.
WINDOW = 4096

_observe = metrics.FIX_TO_SOCKET_MS.observe


class FixAges:
    """A window of ages, wall milliseconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ages_ms: deque[float] = deque(maxlen=WINDOW)

    def pushed(self, fix_ts_ms: int) -> None:
        """A fix with this domain time was handed to its sockets now."""
        age_ms = self._clock.wall_ms() - self._clock.wall_of_domain_ms(fix_ts_ms)
        self._ages_ms.append(age_ms)
        _observe(age_ms)

    def percentiles_ms(self) -> tuple[float, float] | None:
        """p50 and p99 of the window; None while it is empty."""
        if not self._ages_ms:
            return None
        ordered = sorted(self._ages_ms)
        return ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
