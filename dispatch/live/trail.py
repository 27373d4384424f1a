"""Trails: every fix, packed into one document a rider and minute. Pure.

    fixes ──split by (rider, minute of ts_ms)──> chunks ──merged with what is stored──> documents

A trail is a set keyed by (rider, session, seq); a document holds its minute's fixes sorted by (session, seq). So a
chunk that comes twice, late, or in pieces ends in the same bytes: after a crash the reader goes back to its stored
offset and writes the same documents again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dispatch.index import FixColumns
from dispatch.index.columns import COLUMN_NAMES
from dispatch.travel.free_flow import great_circle_m

MINUTE_MS = 60_000

#: As stored: little-endian, so that the same fixes are the same bytes everywhere.
_STORED = {
    "session": "<u8",
    "seq": "<u8",
    "ts_ms": "<i8",
    "lat_e7": "<i4",
    "lng_e7": "<i4",
    "accuracy_dm": "<u2",
    "heading_cdeg": "<u2",
    "speed_cms": "<u2",
    "flags": "u1",
}


@dataclass(frozen=True, slots=True)
class TrailKey:
    """A rider's minute: `minute` counts domain minutes since the epoch."""

    rider_id: int
    minute: int


def split(fixes: FixColumns) -> Iterator[tuple[TrailKey, FixColumns]]:
    """The fixes of each rider and minute, each once, sorted by (session, seq)."""
    minutes = fixes.ts_ms // MINUTE_MS
    order = np.lexsort((minutes, fixes.rider_id))
    riders, minutes = fixes.rider_id[order], minutes[order]
    new = np.flatnonzero((riders[1:] != riders[:-1]) | (minutes[1:] != minutes[:-1])) + 1
    for rows in np.split(order, new):
        if len(rows):
            key = TrailKey(int(fixes.rider_id[rows[0]]), int(fixes.ts_ms[rows[0]] // MINUTE_MS))
            yield key, canonical(fixes.take(rows))


def merged(one: FixColumns, other: FixColumns) -> FixColumns:
    """The union of two trails of one rider; where both have a fix, that of `one` stays."""
    return canonical(FixColumns.concat([one, other]))


def canonical(fixes: FixColumns) -> FixColumns:
    """The trail of one rider, each fix once, sorted by (session, seq); the first of equals stays."""
    order = np.lexsort((np.arange(len(fixes)), fixes.seq, fixes.session))
    session, seq = fixes.session[order], fixes.seq[order]
    first = np.ones(len(order), np.bool_)
    first[1:] = (session[1:] != session[:-1]) | (seq[1:] != seq[:-1])
    return fixes.take(order[first])


def packed(fixes: FixColumns) -> dict[str, bytes]:
    """The columns as they are stored."""
    return {name: getattr(fixes, name).astype(dtype).tobytes() for name, dtype in _STORED.items()}


def unpacked(rider_id: int, columns: Mapping[str, Any]) -> FixColumns:
    """Stored columns again. Raises `KeyError` or `ValueError` when they are none."""
    found = {name: np.frombuffer(columns[name], dtype) for name, dtype in _STORED.items()}
    count = len(found["seq"])
    found["rider_id"] = np.full(count, rider_id, np.uint64)
    return FixColumns(*(found[name] for name in COLUMN_NAMES))


def middle(fixes: FixColumns) -> tuple[float, float, float]:
    """Longitude and latitude of the middle in degrees, and how many metres every fix lies within of it.

    Whoever asks who was near a place looks for middles within its radius plus the longest reach of a minute.
    """
    lat, lng = fixes.lat_e7 * 1e-7, fixes.lng_e7 * 1e-7
    mid_lat, mid_lng = float(lat.min() + lat.max()) / 2, float(lng.min() + lng.max()) / 2
    there = np.stack([fixes.lat_e7, fixes.lng_e7], axis=1).astype(np.int64)
    reach_m = great_circle_m(there, np.array([round(mid_lat * 1e7), round(mid_lng * 1e7)], np.int64))
    return mid_lng, mid_lat, float(np.ceil(reach_m.max()))
