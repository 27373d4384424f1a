"""How far back a new owner reads the fixes of its city."""

from __future__ import annotations

import pytest

from dispatch.shard.recovery import REWIND_SLACK_S, rewind_ms
from node.clock import SystemClock

STALE_AFTER_MS = 60_000


@pytest.mark.parametrize("speed", [1.0, 60.0])
def test_a_rewind_reaches_the_oldest_fix_that_counts(speed: float) -> None:
    """A fix that goes out of sight just now was appended at its own time or later, but for what clocks differ by."""
    wall_ms = 1_790_000_000_000
    clock = SystemClock(speed, wall_ms, wall_ms)
    back_ms = rewind_ms(clock, STALE_AFTER_MS)
    assert back_ms == pytest.approx(STALE_AFTER_MS / speed + REWIND_SLACK_S * 1000, abs=50)
