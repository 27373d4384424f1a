"""Trails from MongoDB into the archive, an hour of a city at a time.

    open minutes ──> points ──simplify──> a file beside its place ──read back──> its place ──> the minutes expire

It may be killed at any moment and begun again: until the last step nothing that is hot has a time to expire, and the
same minutes make the same file. A fix that comes later opens its minute again, and with it the hour.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dispatch.trails.errors import ArchiveBroken
from dispatch.trails.interpolation import between, places, points_of
from dispatch.trails.model import TrailColumns
from dispatch.trails.ports import HourWriter, OpenHours, TrailArchive
from dispatch.trails.simplify import simplified
from node.geodesy import distances_m
from proto.fix_columns import FixColumns

#: Riders whose hour is in memory at once: some 15 MB at a fix a second.
GROUP = 100
#: What rounding to 1e-7 degrees may add, metres.
ROUNDING_M = 0.02


@dataclass(frozen=True, slots=True)
class Compacted:
    """Outcome of compacting an hour. `changed` minutes were written to meanwhile: the hour is still open."""

    hour: int
    riders: int
    fixes: int
    points: int
    changed: int


async def compact(
    hot: OpenHours, archive: TrailArchive, city: str, hour: int, error_m: float, keep_h: int
) -> Compacted:
    """Archives an hour; its minutes stay hot for `keep_h` more. Raises `Retryable`: then nothing was marked."""
    old = await asyncio.to_thread(archive.read, city, hour)
    stored = old[0] if old is not None else TrailColumns.none()
    error_m = max(error_m, old[1]) if old is not None else error_m
    riders = sorted({*await hot.riders(city, hour), *np.unique(stored.rider_id).tolist()})
    writer = await asyncio.to_thread(archive.begin, city, hour, error_m)
    seen: dict[str, int] = {}
    try:
        fixes, points = await _write(hot, writer, stored, city, hour, riders, error_m, seen)
        await asyncio.to_thread(writer.finish)
    except BaseException:
        writer.abandon()
        raise
    changed = await hot.archived(seen, keep_h)
    return Compacted(hour, len(riders), fixes, points, changed)


async def _write(
    hot: OpenHours,
    writer: HourWriter,
    stored: TrailColumns,
    city: str,
    hour: int,
    riders: list[int],
    error_m: float,
    seen: dict[str, int],
) -> tuple[int, int]:
    fixes = points = 0
    for at in range(0, len(riders), GROUP):
        group = riders[at : at + GROUP]
        part = await hot.part(city, hour, group)
        seen.update(part.seen)
        before = stored.take(np.isin(stored.rider_id, np.array(group, np.uint64)))
        merged = await asyncio.to_thread(archivable, part.fixes, before, error_m)
        if len(merged):
            await asyncio.to_thread(writer.add, merged)
        fixes += int(merged.fixes.sum())
        points += len(merged)
    return fixes, points


def archivable(fixes: FixColumns, stored: TrailColumns, error_m: float) -> TrailColumns:
    """Fixes that the archive is to hold of some riders: simplified, with what it holds already.

    As long as all that is stored is hot too, the file is made anew. When the hot copy has gone what is stored stays as
    it is, and what came after it is added as pieces of its own. Raises `ArchiveBroken` when the promise is not kept.
    """
    fresh = points_of(fixes)
    stale = _gone(fresh, stored)
    kept = stored.take(np.isin(stored.rider_id, stale))
    known = {(r, t) for r, t in zip(kept.rider_id.tolist(), kept.ts_ms.tolist(), strict=True)} if len(kept) else set()
    if known:
        new = [(r, t) not in known for r, t in zip(fresh.rider_id.tolist(), fresh.ts_ms.tolist(), strict=True)]
        fresh = fresh.take(np.array(new, np.bool_))
    small = simplified(fresh, error_m)
    _check(fresh, small, error_m)
    return TrailColumns.concat([kept, small])


def _gone(fresh: TrailColumns, stored: TrailColumns) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """Riders of whom the archive knows more than what is hot."""
    gone = []
    hot = _by_rider(fresh)
    for rider, (times, count) in _by_rider(stored).items():
        here, hot_count = hot.get(rider, (frozenset(), 0))
        if hot_count < count or not times <= here:
            gone.append(rider)
    return np.array(gone, np.uint64)


def _by_rider(points: TrailColumns) -> Mapping[int, tuple[frozenset[int], int]]:
    """Times of the points and how many fixes they stand for, by rider."""
    border = np.flatnonzero(np.diff(points.rider_id)) + 1
    found = {}
    for rows in np.split(np.arange(len(points)), border):
        if len(rows):
            times = frozenset(points.ts_ms[rows].tolist())
            found[int(points.rider_id[rows[0]])] = (times, int(points.fixes[rows].sum()))
    return found


def _check(fresh: TrailColumns, small: TrailColumns, error_m: float) -> None:
    """Check that every fix is within `error_m` of what stays, at its time."""
    if not len(fresh):
        return
    row = np.cumsum(small.fixes, dtype=np.int64).searchsorted(np.arange(1, len(fresh) + 1))
    exact = small.ts_ms[row] == fresh.ts_ms
    before = np.where(exact, row, row - 1)
    if small.fixes.sum() != len(fresh) or (small.piece[before] != small.piece[row]).any():
        raise ArchiveBroken("a piece lost one of its ends")
    off_m = distances_m(places(fresh), between(small, before, row, fresh.ts_ms))
    if off_m.max() > error_m + ROUNDING_M:
        raise ArchiveBroken(f"a fix is {off_m.max():.2f} m from its simplified trail; {error_m:g} m were promised")
