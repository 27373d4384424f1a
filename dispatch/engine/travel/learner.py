"""Learn a city's travel times while it lives: from its pings, and from how long its legs took. Up to now only.

Three things are told apart, because they end at different times:

    paces      by cell and hour of the week      weeks
    now        the whole city, this half hour    rain
    riders     each rider against the others     who they are

and what whole legs take beyond their cells (`legs`) counts them all out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.model import Point, RiderId
from dispatch.engine.ports import Points
from dispatch.engine.travel.driven_stretches import LastFixes, StretchTracker
from dispatch.engine.travel.free_flow import FreeFlowTravel
from dispatch.engine.travel.learned import LearnedTravel, Raster
from dispatch.engine.travel.leg_corrections import LegSums, sector_of
from dispatch.engine.travel.ratio import Ratio
from dispatch.engine.travel.speeds import Drives, Floats, SpeedParams, SpeedSums
from node.geodesy import points

#: After so long, what was seen of the present counts half; domain milliseconds.
_NOW_HALF_MS: Final = 900_000
#: Seconds of driving at the usual pace that stand against what is seen: of the present, a rider.
_NOW_SHRINK_S: Final = 900.0
_RIDER_SHRINK_S: Final = 900.0
#: Shorter legs are no way, usual seconds.
_SHORTEST_LEG_S: Final = 20.0
#: A rider's last so many seconds count.
_RIDER_MEMORY_S: Final = 7200.0
#: Riders remembered; then the one seen longest ago is forgotten.
RIDERS_REMEMBERED: Final = 20_000


@dataclass(slots=True)
class TravelLearner:
    """Learned travel times of one city. The `learn_from_…` methods change it, `model` and `pace_of` read it."""

    base: FreeFlowTravel = field(default_factory=FreeFlowTravel)
    params: SpeedParams = field(default_factory=SpeedParams)
    sums: SpeedSums = field(init=False)
    present: Ratio = field(default_factory=Ratio)
    present_ms: int = 0
    legs: LegSums = field(default_factory=LegSums)
    riders: dict[int, Ratio] = field(default_factory=dict)
    _stretches: StretchTracker = field(init=False)
    _usual: LearnedTravel = field(init=False)
    _cells: NDArray[np.uint64] = field(init=False)

    def __post_init__(self) -> None:
        self.sums = SpeedSums(self.params)
        self._stretches = StretchTracker(self.base.speed_mps)
        self.refresh()

    def learn_from_fixes(self, seen: LastFixes, now_ms: int) -> int:
        """Learn from the riders' last fixes; returns how many driven stretches they gave."""
        drives = self._stretches.stretches_since(seen)
        self._fade(now_ms)
        if len(drives):
            self._compare(drives)
            self.sums.add(drives)
        return len(drives)

    def learn_from_leg(
        self, start: Point, end: Point, left_ms: int, spent_s: float, rider_id: RiderId, vehicle_pace: float
    ) -> None:
        """Learn from a whole leg: from leaving one stop to arriving at the next."""
        ends: Points = points([start, end])
        usual_s = float(self._usual.pairs(ends[:1], ends[1:], left_ms)[0])
        own = self.now_factor() * self.pace_of(rider_id) * vehicle_pace
        if usual_s >= _SHORTEST_LEG_S and 0 < spent_s < 10 * usual_s * own + 600:
            sector = int(sector_of(ends[1] - ends[0], ends[0, 0])[()])
            self.legs.add(usual_s, spent_s / own, sector)

    def pace_of(self, rider_id: RiderId) -> float:
        """Factor of this rider's times against the others'."""
        known = self.riders.get(rider_id)
        return known.factor(_RIDER_SHRINK_S) if known is not None else 1.0

    def now_factor(self) -> float:
        """Factor of all times just now against those usual at this hour."""
        return self.present.factor(_NOW_SHRINK_S)

    def refresh(self) -> None:
        """Compute the usual travel times anew from the sums; costs as much as a model."""
        self._cells = self.sums.cells
        self._usual = LearnedTravel(self.base, Raster.of(self._cells), self.sums.paces())

    def model(self) -> LearnedTravel:
        """The travel times as of now: a value that never changes."""
        self.refresh()
        usual = self._usual
        return LearnedTravel(usual.base, usual.raster, usual.paces, self.legs.fit(), round(self.now_factor(), 6))

    def under_way(self) -> dict[str, NDArray[Any]]:
        """The last fix of each rider, and the usual times since the last `refresh`; for `go_on_from`."""
        return {"probes": self._stretches.rows, "usual_cells": self._cells, "usual_paces": self._usual.paces}

    def go_on_from(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Restore what was `under_way`."""
        self._stretches.rows = arrays["probes"].astype(self._stretches.rows.dtype)
        self._cells = arrays["usual_cells"].astype(np.uint64)
        self._usual = LearnedTravel(self.base, Raster.of(self._cells), arrays["usual_paces"].astype(np.float64))

    def _fade(self, now_ms: int) -> None:
        if self.present_ms:
            self.present.fade(0.5 ** (max(0, now_ms - self.present_ms) / _NOW_HALF_MS))
        self.present_ms = now_ms

    def _compare(self, drives: Drives) -> None:
        """Against what is usual there and then: the present, and each rider."""
        expected_s = drives.free_s * self._usual_paces(drives)
        riders = drives.rider_id.tolist()
        own = np.array([self.pace_of(RiderId(r)) for r in riders])
        self.present.add(float((expected_s * own).sum()), float(drives.spent_s.sum()), float("inf"))
        now = self.now_factor()
        for rider_id, usual_s, spent_s in zip(riders, expected_s.tolist(), drives.spent_s.tolist(), strict=True):
            known = self.riders.pop(rider_id, None) or Ratio()
            known.add(usual_s * now, spent_s, _RIDER_MEMORY_S)
            self.riders[rider_id] = known
        while len(self.riders) > RIDERS_REMEMBERED:
            del self.riders[next(iter(self.riders))]

    def _usual_paces(self, drives: Drives) -> Floats:
        cells = self._cells
        at = np.searchsorted(cells, drives.cell)
        known = at < len(cells)
        known[known] = cells[at[known]] == drives.cell[known]
        paces: Floats = self._usual.paces[np.where(known, at, len(cells)), drives.hour]
        return paces
