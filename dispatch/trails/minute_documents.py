"""Pack trails into one document a rider and minute, with every fix. Pure.

    fixes + what is stored ──sorted, each once──> chunks by (rider, minute of ts_ms) ──packed──> documents

A trail is a set keyed by (rider, session, seq); a document holds its minute's fixes sorted by (session, seq). So a
chunk that comes twice, late, or in pieces ends in the same bytes: after a crash the reader goes back to its stored
offset and writes the same documents again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from node.geodesy import distances_m, short_turn_e7
from proto.columns import FIX_COLUMNS, pack
from proto.fix_columns import IMPLAUSIBLE_JUMP, FixColumns

MINUTE_MS = 60_000

#: As stored, packed like the columns of a message: the same fixes are the same bytes everywhere.
_STORED = {name: dtype for name, dtype in FIX_COLUMNS.items() if name != "rider_id"}


@dataclass(frozen=True, slots=True)
class TrailKey:
    """A rider's minute: `minute` counts domain minutes since the epoch."""

    rider_id: int
    minute: int


def chunks(fixes: FixColumns) -> Iterator[tuple[TrailKey, FixColumns]]:
    """The fixes of each rider and minute, each fix once (the first of equals), sorted by (session, seq).

    Sorted and cut as columns, whole batches at once; the chunks are views, and to be treated as such.
    """
    minute = fixes.ts_ms // MINUTE_MS
    order = np.lexsort((np.arange(len(fixes)), fixes.seq, fixes.session, minute, fixes.rider_id))
    rider, minute = fixes.rider_id[order], minute[order]
    border = np.ones(len(order), np.bool_)
    border[1:] = (rider[1:] != rider[:-1]) | (minute[1:] != minute[:-1])
    session, seq = fixes.session[order], fixes.seq[order]
    first = border.copy()
    first[1:] |= (session[1:] != session[:-1]) | (seq[1:] != seq[:-1])
    whole = fixes.take(order[first])
    starts = np.flatnonzero(border[first])
    keys = zip(rider[border].tolist(), minute[border].tolist(), strict=True)
    for key, start, end in zip(keys, starts.tolist(), [*starts[1:].tolist(), len(whole)], strict=True):
        yield TrailKey(*key), whole.take(slice(start, end))


def packed(fixes: FixColumns) -> dict[str, bytes]:
    """The columns as they are stored."""
    return pack(_STORED, fixes.columns())


def unpacked(stored: Sequence[tuple[int, Mapping[str, bytes]]]) -> FixColumns:
    """Stored columns of riders again, as one batch. Raises `KeyError` or `ValueError` when they are none."""
    found = {
        name: np.frombuffer(b"".join(columns[name] for _, columns in stored), dtype) for name, dtype in _STORED.items()
    }
    counts = [len(columns["flags"]) for _, columns in stored]
    found["rider_id"] = np.repeat(np.array([rider for rider, _ in stored], np.uint64), counts)
    return FixColumns(**found)


def middle(fixes: FixColumns) -> tuple[float, float, float]:
    """Longitude and latitude of the middle in degrees, and how many metres every fix (but jumps) lies within of it.

    Whoever asks who was near a place looks for middles within its radius plus the longest reach of a minute.
    """
    plain = fixes.take((fixes.flags & IMPLAUSIBLE_JUMP) == 0)
    fixes = plain if len(plain) else fixes
    lat = fixes.lat_e7 * 1e-7
    first_e7 = int(fixes.lng_e7[0])
    east_e7 = short_turn_e7(fixes.lng_e7.astype(np.int64) - first_e7)
    mid_lat = float(lat.min() + lat.max()) / 2
    mid_lng = short_turn_e7(first_e7 + float(east_e7.min() + east_e7.max()) / 2) * 1e-7
    there = np.stack([fixes.lat_e7, fixes.lng_e7], axis=1).astype(np.int64)
    reach_m = distances_m(there, np.array([round(mid_lat * 1e7), round(mid_lng * 1e7)], np.int64))
    return mid_lng, mid_lat, float(np.ceil(reach_m.max()))
