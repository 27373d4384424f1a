"""Points of trails as columns, and the answers about them. Times are domain milliseconds, places 1e-7 degrees.

A *piece* is a part of one rider's trail without silence: between two of its points the rider is taken to have moved
evenly. Who was silent for longer than `MAX_GAP_MS` begins a new piece; nothing is claimed about the time between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

#: Two fixes this far apart still belong together.
MAX_GAP_MS: Final = 60_000
HOUR_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True, eq=False)
class TrailColumns:
    """n points of trails, sorted by (rider, time), no two of a rider at one time. Every column has shape (n,).

    `piece` is the time of the first point of the piece; `fixes` counts the fixes that a point stands for: itself, and
    those of its piece that were left out since the point before it.
    """

    rider_id: NDArray[np.uint64]
    ts_ms: NDArray[np.int64]
    lat_e7: NDArray[np.int32]
    lng_e7: NDArray[np.int32]
    piece: NDArray[np.int64]
    fixes: NDArray[np.uint32]

    def __len__(self) -> int:
        return len(self.rider_id)

    def take(self, which: NDArray[np.bool_] | NDArray[np.signedinteger] | slice) -> TrailColumns:
        """The points that a mask, indices or a slice name."""
        return TrailColumns(*(getattr(self, name)[which] for name in POINT_COLUMNS))

    @staticmethod
    def none() -> TrailColumns:
        """No points."""
        u64, i64, i32, u32 = (
            np.zeros(0, np.uint64),
            np.zeros(0, np.int64),
            np.zeros(0, np.int32),
            np.zeros(0, np.uint32),
        )
        return TrailColumns(u64, i64, i32, i32, i64, u32)

    @staticmethod
    def concat(parts: Sequence[TrailColumns]) -> TrailColumns:
        """All points, sorted; of two at one time the first part's stays."""
        whole = TrailColumns(*(np.concatenate([getattr(p, n) for p in parts] or [[]]) for n in POINT_COLUMNS))
        order = np.lexsort((np.arange(len(whole)), whole.ts_ms, whole.rider_id))
        first = np.ones(len(order), np.bool_)
        rider, ts_ms = whole.rider_id[order], whole.ts_ms[order]
        first[1:] = (rider[1:] != rider[:-1]) | (ts_ms[1:] != ts_ms[:-1])
        return whole.take(order[first])


POINT_COLUMNS: Final = tuple(field.name for field in fields(TrailColumns))
POINT_TYPES: Final = (np.uint64, np.int64, np.int32, np.int32, np.int64, np.uint32)


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Position of a rider between two points of its trail; `error_m` is the trail's simplification error."""

    rider_id: int
    at_ms: int
    lat_e7: int
    lng_e7: int
    before_ms: int
    after_ms: int
    error_m: float


@dataclass(frozen=True, slots=True)
class Near:
    """A rider who was near a place."""

    distance_m: float
    where: Whereabouts


@dataclass(frozen=True, slots=True)
class Driven:
    """Distance that a rider drove, in metres, and the time covered by fixes."""

    rider_id: int
    from_ms: int
    to_ms: int
    distance_m: float
    heard_ms: int
    fixes: int
