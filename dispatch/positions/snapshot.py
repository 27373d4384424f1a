"""Snapshot of the riders' positions at one moment, and the search for the nearest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dispatch.positions.buckets import Bucketed
from dispatch.positions.nearest import nearest_chords
from dispatch.positions.rows import Ids
from node.geodesy import arcs_m
from proto.fix_columns import FixColumns


@dataclass(frozen=True, slots=True, eq=False)
class NearestRiders:
    """Up to k riders near each of m places, nearest first; all arrays have shape (m, k).

    `index` points into the snapshot's columns, -1 where there are fewer than k riders. `distance_m` is
    along the great circle (inf where there is none), `age_ms` the age of the rider's fix.
    """

    index: NDArray[np.intp]
    rider_ids: Ids
    distance_m: NDArray[np.float64]
    age_ms: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class PositionSnapshot:
    """Riders with a fresh fix at `now_ms` (domain); columns of n riders, ordered by cell. Never changes."""

    now_ms: int
    columns: FixColumns
    order: Bucketed

    def __len__(self) -> int:
        return len(self.columns)

    @property
    def rider_ids(self) -> Ids:
        return self.columns.rider_id

    @property
    def age_ms(self) -> NDArray[np.int64]:
        """Domain milliseconds since each rider's fix."""
        return self.now_ms - self.columns.ts_ms

    def only(self, mask: NDArray[np.bool_]) -> PositionSnapshot:
        """The riders that `mask` (n,) keeps: the idle ones, say."""
        return PositionSnapshot(self.now_ms, self.columns.take(mask), self.order.only(mask))

    def nearest(self, lat_e7: NDArray[np.integer], lng_e7: NDArray[np.integer], k: int) -> NearestRiders:
        """The k riders nearest to each of m places, exactly; equal distances go by rider id.

        `lat_e7`, `lng_e7`: (m,). For one place, pass arrays of one.
        """
        index, chord = nearest_chords(self.order, self.rider_ids, lat_e7, lng_e7, k)
        if len(self) == 0:
            nobody = np.zeros(index.shape, np.uint64)
            return NearestRiders(index, nobody, np.full(index.shape, np.inf), np.zeros(index.shape, np.int64))
        distance_m = np.where(index >= 0, arcs_m(chord), np.inf)
        return NearestRiders(index, self.rider_ids[index], distance_m, self.now_ms - self.columns.ts_ms[index])
