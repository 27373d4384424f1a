"""Counters of a city since this shard began to read it; shown by `WatchCity`, exported by `dispatch.metrics`."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

#: Ticks over which percentiles are taken: about a minute at the default period.
_TICKS = 600


@dataclass(slots=True)
class Counters:
    """Plain numbers, changed on the event loop only."""

    #: Offset of rider.pings from which fixes are counted.
    pings_began: int = 0
    fixes_applied: int = 0
    fixes_superseded: int = 0
    events_taken: int = 0
    events_repeated: int = 0
    events_refused: int = 0
    orders_delivered: int = 0
    offers_made: int = 0
    offers_declined: int = 0
    ticks_committed: int = 0
    ticks_fallback: int = 0
    log_holes: int = 0
    tick_ms: deque[float] = field(default_factory=lambda: deque(maxlen=_TICKS))

    def tick_percentiles_ms(self) -> tuple[float, float]:
        """Median and 99th percentile of recent ticks; zeros before the first."""
        if not self.tick_ms:
            return 0.0, 0.0
        p50, p99 = np.percentile(np.array(self.tick_ms), [50, 99])
        return float(p50), float(p99)
