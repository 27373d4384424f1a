"""Speeds of riders by place and hour: sums of driven seconds, and the paces that follow.

A *pace* is seconds spent over seconds that free flow would need. All that is kept of the pings are two sums for each
H3 cell and hour of the week: `free_s`, what the driven metres would take in free flow, and `spent_s`, what they took. A
ratio of sums is right for the time of a whole way, and a missing sum can be filled up from what is known more widely:

    city         (spent + k) / (free + k)                        k seconds of free flow: nothing known is pace 1
    hour of day  (spent + k city) / (free + k)
    hour of week (spent + k hour of day) / (free + k)
    cell         r = (spent + k) / (what its hours expect + k)    relative to the city at the same hours
    cell, hour   (spent + k r hour of week) / (free + k)

Worked example, k = 600: a cell was crossed for 600 free-flow seconds on Friday at 19 and took 1200. If the city's pace
then is 1.4 and the cell is like the city, its pace is (1200 + 600 * 1.4) / (600 + 600) = 1.7.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dispatch.errors import InvalidParams

HOURS = 168
_HOUR_MS = 3_600_000
#: 1970-01-01 was a Thursday: hour 72 of a week that begins on Monday.
_EPOCH_HOUR = 72

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SpeedParams:
    """`shrink_s` is the k above. A cell's hour remembers at most `memory_s` free-flow seconds: then what it knows
    counts half, so that a new road is learned within weeks. No pace leaves `slowest` and its inverse."""

    shrink_s: float = 600.0
    memory_s: float = 7200.0
    slowest: float = 6.0

    def __post_init__(self) -> None:
        for name, low, high in (("shrink_s", 1, 1e6), ("memory_s", 60, 1e9), ("slowest", 1.5, 100)):
            value = getattr(self, name)
            if not low <= value <= high:
                raise InvalidParams(f"SpeedParams.{name} must be within {low}..{high}, got {value}")


def hour_of_week(at_ms: int) -> int:
    """0 is Monday 0:00 UTC. Local hours move against it by an hour when the clocks change; the sums follow in weeks."""
    return (at_ms // _HOUR_MS + _EPOCH_HOUR) % HOURS


@dataclass(frozen=True, slots=True, eq=False)
class Drives:
    """Stretches driven, columns of n: H3 cell, hour of the week, free-flow seconds, seconds spent, and the rider."""

    cell: NDArray[np.uint64]
    hour: Ints
    free_s: Floats
    spent_s: Floats
    rider_id: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.cell)


class SpeedSums:
    """The sums of a city. Grows by what is driven in; `cells` (c,) are sorted, the sums are (c, 168)."""

    def __init__(self, params: SpeedParams) -> None:
        self.params = params
        self.cells: NDArray[np.uint64] = np.zeros(0, np.uint64)
        self.free_s: Floats = np.zeros((0, HOURS))
        self.spent_s: Floats = np.zeros((0, HOURS))

    def add(self, drives: Drives) -> None:
        """Add driven stretches to the sums."""
        self._know(np.unique(drives.cell))
        at = np.searchsorted(self.cells, drives.cell), drives.hour
        np.add.at(self.free_s, at, drives.free_s)
        np.add.at(self.spent_s, at, drives.spent_s)
        full = self.free_s > self.params.memory_s
        self.free_s[full] /= 2
        self.spent_s[full] /= 2

    def _know(self, cells: NDArray[np.uint64]) -> None:
        new = np.setdiff1d(cells, self.cells)
        if len(new) == 0:
            return
        known = np.concatenate([self.cells, new])
        order = np.argsort(known, kind="stable")
        self.cells = known[order]
        more = np.zeros((len(new), HOURS))
        self.free_s = np.concatenate([self.free_s, more])[order]
        self.spent_s = np.concatenate([self.spent_s, more])[order]

    def paces(self) -> Floats:
        """Paces by cell and hour, (c + 1, 168); the last row is for cells never driven through."""
        k, free, spent = self.params.shrink_s, self.free_s, self.spent_s
        city = (spent.sum() + k) / (free.sum() + k)
        free_day, spent_day = (x.sum(axis=0).reshape(7, 24).sum(axis=0) for x in (free, spent))
        by_day = np.tile((spent_day + k * city) / (free_day + k), 7)
        by_hour = (spent.sum(axis=0) + k * by_day) / (free.sum(axis=0) + k)
        like = (spent.sum(axis=1) + k) / ((free * by_hour).sum(axis=1) + k)
        by_cell = (spent + k * like[:, None] * by_hour) / (free + k)
        paces: Floats = np.concatenate([by_cell, by_hour[None, :]])
        return np.clip(paces, 1 / self.params.slowest, self.params.slowest)
