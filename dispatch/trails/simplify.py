"""Fewer points for the same trail, with a promise: at the time of every fix that is left out, the trail that stays is
within `error_m` metres of it.

Douglas and Peucker's way (1973), but with the distance that matters for "where was it at T": not to the line on the
map, to the place on the line *at that time* (Meratnia and de By 2004 call it time ratio). So a rider who waits and then
drives on keeps the moment, and one that stands still for an hour costs two points.

         fix                             o at 12:00:30
        /    \\                          |  <= error_m, else this fix stays and both halves are looked at
    a ---------------- b     a ----------x-------- b
    12:00           12:01              12:00:30
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dispatch.trails.interpolation import between, places
from dispatch.trails.model import TrailColumns
from node.geodesy import distances_m


def simplified(points: TrailColumns, error_m: float) -> TrailColumns:
    """A subset of the points: the ends of every piece, and whatever else the promise needs."""
    kept = np.flatnonzero(needed(points, error_m))
    stands_for = np.diff(np.concatenate([[0], np.cumsum(points.fixes, dtype=np.int64)[kept]]))
    chosen = points.take(kept)
    return TrailColumns(
        chosen.rider_id, chosen.ts_ms, chosen.lat_e7, chosen.lng_e7, chosen.piece, stands_for.astype(np.uint32)
    )


def needed(points: TrailColumns, error_m: float) -> NDArray[np.bool_]:
    """Mask of the points that must stay."""
    border = np.flatnonzero(np.diff(points.rider_id) | (points.piece[1:] != points.piece[:-1])) + 1
    keep = np.zeros(len(points), np.bool_)
    if not len(points):
        return keep
    for start, end in zip([0, *border.tolist()], [*border.tolist(), len(points)], strict=True):
        _keep(points, keep, start, end - 1, error_m)
    return keep


def _keep(points: TrailColumns, keep: NDArray[np.bool_], first: int, last: int, error_m: float) -> None:
    """Marks what must stay of one piece."""
    keep[first] = keep[last] = True
    open_spans = [(first, last)]
    while open_spans:
        begin, end = open_spans.pop()
        if end - begin < 2:
            continue
        off_m = errors_m(points, begin, end)
        worst = int(off_m.argmax())
        if off_m[worst] > error_m:
            middle = begin + 1 + worst
            keep[middle] = True
            open_spans += [(begin, middle), (middle, end)]


def errors_m(points: TrailColumns, begin: int, end: int) -> NDArray[np.float64]:
    """Distance of each point between two from the place between the two at its time, metres."""
    inner = np.arange(begin + 1, end)
    ends = np.full((2, len(inner)), [[begin], [end]])
    line = between(points, ends[0], ends[1], points.ts_ms[inner])
    return distances_m(places(points.take(inner)), line)
