"""Answer questions about trails, hot and archived: where a rider was, who was near a place, how far a rider drove."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import numpy as np

from dispatch.trails.errors import BadSpan, NotHeard
from dispatch.trails.interpolation import clipped, length, places_at, points_of
from dispatch.trails.model import HOUR_MS, MAX_GAP_MS, Driven, Near, TrailColumns, Whereabouts
from dispatch.trails.ports import HotTrails, TrailArchive
from dispatch.trails.simplify import simplified
from node.clock import Clock
from node.errors import Invalid
from node.geodesy import distances_m

#: Longest span of a question about distance, domain milliseconds.
MAX_SPAN_MS = 31 * 24 * HOUR_MS
MAX_RADIUS_M = 20_000.0
MAX_NEAR = 1_000
#: Rider-minutes that a question about a place may look at while they are hot, and riders of an archived hour.
MOST_MINUTES = 20_000
MOST_RIDERS = 100_000
#: Between two fixes of one piece a rider gets at most this far from both: half of a minute at the 70 m/s over which a
#: fix is marked as a jump, and what their accuracies forgive.
_STRIDE_M = 70.0 * MAX_GAP_MS / 1000 / 2 + 150.0

#: Reads what is wanted of an archived hour, and its error in metres; None when it is not archived.
ReadHour = Callable[[TrailArchive, int], tuple[TrailColumns, float] | None]


class TrailService:
    """The three questions. `archive` may be None: then only what is hot is known. All of them may raise `Retryable`.

    Trails stay hot for `keep_h` wall hours at least.
    """

    def __init__(
        self, hot: HotTrails, archive: TrailArchive | None, clock: Clock, *, error_m: float, keep_h: int
    ) -> None:
        self._hot = hot
        self._archive = archive
        self._clock = clock
        self._error_m = error_m
        self._keep_ms = keep_h * HOUR_MS

    async def where(self, city: str, rider_id: int, at_ms: int) -> Whereabouts:
        """Interpolate between the fixes before and after; raises `NotHeard` when one is missing or too far away."""
        hot = points_of(await self._hot.of_rider(city, rider_id, at_ms - MAX_GAP_MS, at_ms + MAX_GAP_MS))
        found = _located(hot, at_ms, 0.0)
        if not found:
            cold, error_m = await self._archived(at_ms, at_ms, lambda old, hour: old.read(city, hour, [rider_id]))
            found = _located(cold, at_ms, error_m)
        if found:
            return found[0]
        raise NotHeard(f"rider {rider_id} was not heard of in {city} within a minute of {at_ms}")

    async def near(self, city: str, at: tuple[int, int], at_ms: int, radius_m: float, limit: int) -> list[Near]:
        """Riders within a radius at that time, nearest first. Raises `Invalid`, or `TooMany`."""
        if not 0 < radius_m <= MAX_RADIUS_M:
            raise Invalid("radius_m", f"must be within 0..{MAX_RADIUS_M:g}")
        if not 1 <= limit <= MAX_NEAR:
            raise Invalid("limit", f"must be within 1..{MAX_NEAR}")
        begin_ms, end_ms = at_ms - MAX_GAP_MS, at_ms + MAX_GAP_MS
        fixes = await self._hot.around(city, at, radius_m + _STRIDE_M, begin_ms, end_ms, MOST_MINUTES)
        found = {one.rider_id: one for one in _located(points_of(fixes), at_ms, 0.0)}
        if not (len(fixes) and self._all_hot(begin_ms)):
            cold, error_m = await self._archived(
                at_ms, at_ms, lambda old, hour: old.around(city, hour, at_ms, MOST_RIDERS)
            )
            for one in _located(cold, at_ms, error_m):
                found.setdefault(one.rider_id, one)
        there = list(found.values())
        places = np.array([[one.lat_e7, one.lng_e7] for one in there], np.float64).reshape(-1, 2)
        off_m = distances_m(places, np.array(at, np.float64))
        near = [Near(round(float(m), 2), one) for m, one in zip(off_m, there, strict=True) if m <= radius_m]
        return sorted(near, key=lambda one: (one.distance_m, one.where.rider_id))[:limit]

    async def distance(self, city: str, rider_id: int, from_ms: int, to_ms: int) -> Driven:
        """Metres along the rider's trail, simplified by `error_m` so that a trembling fix is no way driven.

        Hour by hour, so that a month costs no more memory than an hour. Silence counts for nothing.
        """
        if not 0 < to_ms - from_ms <= MAX_SPAN_MS:
            raise BadSpan("to_ms", "must lie after from_ms, by 31 days at most")
        metres_driven, heard_ms, fixes = 0.0, 0, 0
        for begin_ms, end_ms in _hours(from_ms, to_ms):
            part = clipped(await self._best(city, rider_id, begin_ms, end_ms), begin_ms, end_ms)
            along_m, covered_ms = length(part)
            metres_driven, heard_ms = metres_driven + along_m, heard_ms + covered_ms
            fixes += int(part.fixes.sum())
        return Driven(rider_id, from_ms, to_ms, round(metres_driven, 1), heard_ms, fixes)

    async def _best(self, city: str, rider_id: int, begin_ms: int, end_ms: int) -> TrailColumns:
        """Fixes of an hour, hot or archived, whichever knows more: one may be on its way out, or in."""
        fixes = await self._hot.of_rider(city, rider_id, begin_ms - MAX_GAP_MS, end_ms + MAX_GAP_MS)
        hot = simplified(points_of(fixes), self._error_m)
        cold, _ = await self._archived(begin_ms, end_ms, lambda old, hour: old.read(city, hour, [rider_id]))
        return max((hot, cold), key=lambda points: length(clipped(points, begin_ms, end_ms))[1])

    def _all_hot(self, from_ms: int) -> bool:
        """Whether nothing that happened since can have expired, be it archived or not."""
        return self._clock.wall_of_domain_ms(from_ms) > self._clock.wall_ms() - self._keep_ms

    async def _archived(self, from_ms: int, to_ms: int, read: ReadHour) -> tuple[TrailColumns, float]:
        """Archived fixes of a span of time, with the hours around it that may hold the other end of a step."""
        if self._archive is None:
            return TrailColumns.none(), 0.0
        parts, error_m = [], 0.0
        for hour in range((from_ms - MAX_GAP_MS) // HOUR_MS, (to_ms + MAX_GAP_MS) // HOUR_MS + 1):
            found = await asyncio.to_thread(read, self._archive, hour)
            if found is not None:
                parts.append(found[0])
                error_m = max(error_m, found[1])
        return (TrailColumns.concat(parts) if parts else TrailColumns.none()), error_m


def _located(points: TrailColumns, at_ms: int, error_m: float) -> list[Whereabouts]:
    """Place of each of the riders."""
    there, before, after = places_at(points, at_ms)
    rows = zip(
        points.rider_id[before].tolist(),
        np.rint(there).astype(np.int64).tolist(),
        points.ts_ms[before].tolist(),
        points.ts_ms[after].tolist(),
        strict=True,
    )
    return [Whereabouts(rider, at_ms, lat, lng, begin, end, error_m) for rider, (lat, lng), begin, end in rows]


def _hours(from_ms: int, to_ms: int) -> Iterator[tuple[int, int]]:
    """A span of time cut at full hours."""
    at_ms = from_ms
    while at_ms < to_ms:
        end_ms = min(to_ms, (at_ms // HOUR_MS + 1) * HOUR_MS)
        yield at_ms, end_ms
        at_ms = end_ms
