"""Checks of fixes over whole columns. Nothing runs once a fix in Python; a good column costs two passes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from node.geodesy import M_PER_E7, MAX_LAT_E7, MAX_LNG_E7
from proto.fix_columns import MAX_HEADING_CDEG
from tracking.engine.limits import Limits

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class FixFault:
    """The first thing wrong with a batch: index of the batch, of the fix in it, the column, and why."""

    batch: int
    fix: int
    column: str
    reason: str
    message: str


def first_faults(columns: dict[str, NDArray[Any]], ends: Ints, now_ms: int, limits: Limits) -> list[FixFault]:
    """The first fault of each bad batch, in the order of batches; empty when all are good.

    `columns` hold the batches one after another, batch i ending before row `ends[i]` (all have at least one fix).
    """
    faults: dict[int, FixFault] = {}
    seq = columns["seq"]
    growing = seq[1:] > seq[:-1]
    growing[ends[:-1] - 1] = True  # between two batches, which may be of two riders
    if not growing.all():
        _note(faults, np.append(True, growing), ends, "seq", "seq_not_growing", "sequence numbers grow within a batch")
    newest_ms, oldest_ms = now_ms + limits.domain_ahead_ms, now_ms - limits.max_age_ms
    for column, low, high, below, above in (
        ("ts_ms", oldest_ms, newest_ms, "too_old", "from_the_future"),
        ("lat_e7", -MAX_LAT_E7, MAX_LAT_E7, "out_of_range", "out_of_range"),
        ("lng_e7", -MAX_LNG_E7, MAX_LNG_E7, "out_of_range", "out_of_range"),
        ("heading_cdeg", 0, MAX_HEADING_CDEG, "out_of_range", "out_of_range"),
    ):
        values = columns[column]
        if values.min() < low:
            _note(faults, values >= low, ends, column, below, f"must be at least {low}")
        if values.max() > high:
            _note(faults, values <= high, ends, column, above, f"must be at most {high}")
    return [faults[batch] for batch in sorted(faults)]


def _note(faults: dict[int, FixFault], good: Bools, ends: Ints, column: str, reason: str, message: str) -> None:
    """Adds the first bad row of each batch that has none yet."""
    rows = np.flatnonzero(~good)
    batches = np.searchsorted(ends, rows, side="right")
    batches, first = np.unique(batches, return_index=True)
    for batch, row in zip(batches.tolist(), rows[first].tolist(), strict=True):
        start = int(ends[batch - 1]) if batch else 0
        faults.setdefault(batch, FixFault(batch, row - start, column, reason, message))


def some_far(lat_e7: Ints, lng_e7: Ints, ts_ms: Ints, limits: Limits) -> bool:
    """Whether any of n fixes may be a jump: a quick look, on a flat earth of equal degrees with streets in squares.

    Both make ways longer, so whoever is near here is near. The arguments are differences fix - predecessor.
    """
    if not len(ts_ms):
        return False
    way_e7 = np.abs(lat_e7)
    way_e7 += np.abs(lng_e7)
    seconds = np.maximum(ts_ms, 1000) * 0.001
    return bool((way_e7 * M_PER_E7 > limits.max_speed_m_s * seconds + limits.jump_slack_m).any())


def jumps(
    lat_e7: Ints, lng_e7: NDArray[np.float64], ts_ms: Ints, accuracy_m: NDArray[np.float64], limits: Limits
) -> Bools:
    """Mask of the fixes that are an impossible jump from their predecessor.

    The arguments are differences fix - predecessor (`lat_e7`, `ts_ms`), the east-west difference already shortened by
    the cosine of the latitude (`lng_e7`), and the sum of both accuracies. The flat earth is good to
    1 % over the few kilometres in question; whoever is further off has jumped anyway.
    """
    distance_m = np.hypot(lat_e7, lng_e7) * M_PER_E7
    seconds = np.maximum(ts_ms, 1000) / 1000
    reachable_m = limits.max_speed_m_s * seconds + limits.jump_slack_m + accuracy_m
    impossible: Bools = distance_m > reachable_m
    return impossible
