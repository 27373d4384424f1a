"""Trails for tests: a rider's fixes from steps in metres."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from node.geodesy import M_PER_E7, lng_scale
from proto.fix_columns import FixColumns
from tests.unit.dispatch.shard.worlds import DOWNTOWN

#: 1e-7 degrees of latitude a metre.
E7_A_METRE = 1 / M_PER_E7
#: A full hour: 2025-10-09 08:00 UTC.
HOUR_MS = 1_759_996_800_000

#: Milliseconds since the fix before, metres north and east of downtown.
Step = tuple[int, float, float]


def trail(steps: Sequence[Step], *, rider: int = 1, session: int = 1, begin_ms: int = HOUR_MS) -> FixColumns:
    """One rider's fixes, numbered from 1."""
    n = len(steps)
    wait, north, east = np.array(steps, np.float64).reshape(n, 3).T
    fixes = FixColumns.zeros(n)
    fixes.rider_id[:] = rider
    fixes.session[:] = session
    fixes.seq[:] = np.arange(1, n + 1)
    fixes.ts_ms[:] = begin_ms + np.cumsum(wait).astype(np.int64)
    fixes.lat_e7[:] = np.rint(DOWNTOWN.lat_e7 + north * E7_A_METRE)
    fixes.lng_e7[:] = np.rint(DOWNTOWN.lng_e7 + east * E7_A_METRE / lng_scale(DOWNTOWN.lat_e7))
    return fixes


def straight(seconds: int, metres_a_second: float, *, rider: int = 1, begin_ms: int = HOUR_MS) -> FixColumns:
    """North at an even speed, a fix a second."""
    return trail([(1000 if n else 0, n * metres_a_second, 0.0) for n in range(seconds)], rider=rider, begin_ms=begin_ms)
