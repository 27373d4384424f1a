"""How old fixes are when their frames leave: the last hop of fix-to-screen that a server can see."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from gateway import metrics
from node.clock import Clock

#: Fixes of the sliding window that percentiles are taken over.
WINDOW = 4096
#: Observing costs as much as formatting a frame, so of each batch only the first and every 16th after it is observed.
SAMPLED = 16

_observe = metrics.FIX_TO_SOCKET_MS.observe


class FixAges:
    """A window of ages, wall milliseconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ages_ms: deque[float] = deque(maxlen=WINDOW)

    def pushed(self, fix_ts_ms: Sequence[int]) -> None:
        """Fixes with these domain times were handed to their sockets now. The histogram gets one in `SAMPLED`."""
        now_ms = self._clock.wall_ms()
        ages_ms = [now_ms - self._clock.wall_of_domain_ms(ts_ms) for ts_ms in fix_ts_ms]
        self._ages_ms.extend(ages_ms)
        for age_ms in ages_ms[::SAMPLED]:
            _observe(age_ms)

    def percentiles_ms(self) -> tuple[float, float] | None:
        """p50 and p99 of the window; None while it is empty."""
        if not self._ages_ms:
            return None
        ordered = sorted(self._ages_ms)
        return ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
