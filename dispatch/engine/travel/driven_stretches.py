"""Turn successive fixes of riders into stretches driven, for learning travel times.

The tracker is given a city's last positions now and then; two of them give an interval of each rider who was seen anew.
An interval counts as driving if the rider moved, and moved in the interval before and in the one after: so the way's
first and last metres, the counter and the door are left out.

    moved:    no   no   yes  yes  yes  yes  no        rider waits, rides, arrives
    counted:                 ---  ---                 not the first and the last

Work is bounded by the riders seen, whatever the rate of their pings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import h3.api.basic_int as h3
import numpy as np
from numpy.typing import NDArray

from dispatch.engine.travel.learned import RESOLUTION
from dispatch.engine.travel.speeds import Drives, hour_of_week
from node.geodesy import distances_m

#: Two fixes of a rider closer together tell nothing, further apart no way; domain milliseconds.
NEAREST_MS: Final = 5_000
FURTHEST_MS: Final = 90_000
#: Slower is standing with a GPS that trembles, faster is a broken GPS; metres a second.
_MOVING_MPS: Final = 0.8
_FASTEST_MPS: Final = 40.0

_ROW = np.dtype(
    [
        ("rider_id", "u8"),
        ("lat_e7", "i8"),
        ("lng_e7", "i8"),
        ("ts_ms", "i8"),
        # The interval that ended with this fix.
        ("metres", "f8"),
        ("span_ms", "i8"),
        ("moved", "?"),
        ("moved_before", "?"),
        ("mid_lat_e7", "i8"),
        ("mid_lng_e7", "i8"),
    ]
)


@dataclass(frozen=True, slots=True, eq=False)
class LastFixes:
    """Last fixes of riders, columns of n; `pace` is that of each rider's vehicle, to be taken out."""

    rider_id: NDArray[np.uint64]
    lat_e7: NDArray[np.integer]
    lng_e7: NDArray[np.integer]
    ts_ms: NDArray[np.int64]
    pace: NDArray[np.float64]


class StretchTracker:
    """Compares each rider's last fix with the one before; riders out of sight are forgotten."""

    def __init__(self, free_mps: float) -> None:
        self._free_mps = free_mps
        #: The last fix of each rider and the interval before it, ordered by rider id.
        self.rows = np.zeros(0, _ROW)

    def stretches_since(self, seen: LastFixes) -> Drives:
        """Stretches driven between the fixes kept and those now seen, which are kept in their place."""
        order = np.argsort(seen.rider_id)
        now = np.zeros(len(order), _ROW)
        now["rider_id"], now["ts_ms"] = seen.rider_id[order], seen.ts_ms[order]
        now["lat_e7"], now["lng_e7"] = seen.lat_e7[order], seen.lng_e7[order]
        at = np.searchsorted(self.rows["rider_id"], now["rider_id"])
        known = at < len(self.rows)
        known[known] = self.rows["rider_id"][at[known]] == now["rider_id"][known]
        before = np.zeros(len(now), _ROW)
        before[known] = self.rows[at[known]]
        too_soon = known & (now["ts_ms"] - before["ts_ms"] < NEAREST_MS)
        _measure(now, before, known)
        done = known & ~too_soon & before["moved"] & before["moved_before"] & now["moved"]
        now[too_soon] = before[too_soon]
        self.rows = now
        return self._drives(before[done], seen.pace[order][done])

    def _drives(self, rows: NDArray[np.void], pace: NDArray[np.float64]) -> Drives:
        cells = [
            h3.latlng_to_cell(lat / 1e7, lng / 1e7, RESOLUTION)
            for lat, lng in zip(rows["mid_lat_e7"].tolist(), rows["mid_lng_e7"].tolist(), strict=True)
        ]
        return Drives(
            cell=np.array(cells, np.uint64),
            hour=np.array([hour_of_week(ts) for ts in rows["ts_ms"].tolist()], np.int64),
            free_s=rows["metres"] / self._free_mps,
            spent_s=rows["span_ms"] / 1000 / pace,
            rider_id=rows["rider_id"],
        )


def _measure(now: NDArray[np.void], before: NDArray[np.void], known: NDArray[np.bool_]) -> None:
    """Write the interval since the fix before into each row."""
    span_ms = np.where(known, now["ts_ms"] - before["ts_ms"], 0)
    usable = known & (span_ms >= NEAREST_MS) & (span_ms <= FURTHEST_MS)
    here, there = (np.stack([rows["lat_e7"], rows["lng_e7"]], axis=1) for rows in (now, before))
    metres = np.where(usable, distances_m(there, here), 0.0)
    mps = metres / np.maximum(span_ms, 1) * 1000
    now["metres"], now["span_ms"] = metres, span_ms
    now["moved"] = usable & (mps >= _MOVING_MPS) & (mps <= _FASTEST_MPS)
    now["moved_before"] = usable & before["moved"]
    now["mid_lat_e7"], now["mid_lng_e7"] = (here + there).T // 2
