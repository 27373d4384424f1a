"""Interpolate trails: cut fixes into pieces, find places between points, measure lengths. Pure, on whole columns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dispatch.trails.model import MAX_GAP_MS, TrailColumns
from node.geodesy import distances_m, short_turn_e7
from proto.fix_columns import IMPLAUSIBLE_JUMP, FixColumns

#: Places of shape (n, 2): latitude and longitude in 1e-7 degrees, with fractions.
Degrees = NDArray[np.float64]


def points_of(fixes: FixColumns) -> TrailColumns:
    """The fixes as points, cut into pieces. Jumps are left out; of two at one time the newer (session, seq) counts."""
    plain = fixes.take((fixes.flags & IMPLAUSIBLE_JUMP) == 0)
    order = np.lexsort((plain.seq, plain.session, plain.ts_ms, plain.rider_id))
    rider, ts_ms = plain.rider_id[order], plain.ts_ms[order]
    last = np.ones(len(order), np.bool_)
    last[:-1] = (rider[1:] != rider[:-1]) | (ts_ms[1:] != ts_ms[:-1])
    kept = order[last]
    rider, ts_ms = plain.rider_id[kept], plain.ts_ms[kept]
    begins = np.ones(len(kept), np.bool_)
    begins[1:] = (rider[1:] != rider[:-1]) | (np.diff(ts_ms) > MAX_GAP_MS)
    piece = ts_ms[begins][np.cumsum(begins) - 1]
    ones = np.ones(len(kept), np.uint32)
    return TrailColumns(rider, ts_ms, plain.lat_e7[kept], plain.lng_e7[kept], piece, ones)


def between(
    points: TrailColumns, before: NDArray[np.intp], after: NDArray[np.intp], at_ms: NDArray[np.int64]
) -> Degrees:
    """Places at a time between two points each: even motion in latitude and longitude, the short way round."""
    span_ms = points.ts_ms[after] - points.ts_ms[before]
    part = (at_ms - points.ts_ms[before]) / np.maximum(span_ms, 1)
    lat = points.lat_e7[before] + part * (points.lat_e7[after].astype(np.int64) - points.lat_e7[before])
    step = short_turn_e7(points.lng_e7[after].astype(np.int64) - points.lng_e7[before])
    lng = short_turn_e7(points.lng_e7[before] + part * step)
    return np.stack([lat, lng], axis=1)


def places_at(points: TrailColumns, at_ms: int) -> tuple[Degrees, NDArray[np.intp], NDArray[np.intp]]:
    """Positions at a time of the riders with fixes around it: places, and the rows of the points before and after."""
    if not len(points):
        none = np.zeros(0, np.intp)
        return np.zeros((0, 2)), none, none
    border = np.flatnonzero(np.diff(points.rider_id)) + 1
    starts = np.concatenate([[0], border])
    ends = np.concatenate([border, [len(points)]])
    earlier = np.add.reduceat(points.ts_ms <= at_ms, starts)
    before = starts + earlier - 1
    exact = (earlier > 0) & (points.ts_ms[np.maximum(before, 0)] == at_ms)
    after = np.where(exact, before, before + 1)
    inside = (earlier > 0) & (after < ends)
    before, after = before[inside], after[inside]
    together = linked(points, before, after)
    before, after = before[together], after[together]
    return between(points, before, after, np.full(len(before), at_ms)), before, after


def around(points: TrailColumns, at_ms: int) -> TrailColumns:
    """The last point of each rider that is not after a time, and the first that is: all that `places_at` looks at."""
    if not len(points):
        return points
    early = points.ts_ms <= at_ms
    border = points.rider_id[1:] != points.rider_id[:-1]
    last_early, first_late = early.copy(), ~early
    last_early[:-1] &= border | ~early[1:]
    first_late[1:] &= border | early[:-1]
    return points.take(last_early | first_late)


def places(points: TrailColumns) -> Degrees:
    """Positions of the points."""
    return np.stack([points.lat_e7, points.lng_e7], axis=1).astype(np.float64)


def linked(points: TrailColumns, before: NDArray[np.intp], after: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Whether two points of one rider have no silence between them."""
    near = points.ts_ms[after] - points.ts_ms[before] <= MAX_GAP_MS
    together: NDArray[np.bool_] = near | (points.piece[after] == points.piece[before])
    return together


def clipped(points: TrailColumns, from_ms: int, to_ms: int) -> TrailColumns:
    """One rider's points within a span of time, with the places at its ends where the rider was heard of then."""
    inside = points.take((points.ts_ms >= from_ms) & (points.ts_ms <= to_ms))
    ends = []
    for at_ms in (from_ms, to_ms):
        there, before, _ = places_at(points, at_ms)
        if len(there):
            row = before[0]
            lat, lng = np.rint(there[0]).astype(np.int64)
            ends.append(
                TrailColumns(
                    points.rider_id[row : row + 1],
                    np.array([at_ms], np.int64),
                    np.array([lat], np.int32),
                    np.array([lng], np.int32),
                    points.piece[row : row + 1],
                    np.zeros(1, np.uint32),
                )
            )
    return TrailColumns.concat([inside, *ends])


def length(points: TrailColumns) -> tuple[float, int]:
    """Metres along one rider's points, and the milliseconds that they cover; silence counts for neither."""
    if len(points) < 2:
        return 0.0, 0
    before, after = np.arange(len(points) - 1), np.arange(1, len(points))
    together = linked(points, before, after)
    there = places(points)
    steps_m = distances_m(there[:-1], there[1:])
    return float(steps_m[together].sum()), int(np.diff(points.ts_ms)[together].sum())
