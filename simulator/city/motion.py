"""Moving along a line: where a traveller is after so many seconds."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import atan2, degrees
from typing import Protocol

from node.geodesy import lng_scale, short_turn_e7
from simulator.city.model import Place, Pose


@dataclass(frozen=True, slots=True)
class Trip:
    """A way through places; `at_s[i]` is when `places[i]` is passed, seconds after departure, never falling.

    Between two places the traveller moves in a straight line at even speed.
    """

    places: tuple[Place, ...]
    at_s: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.places or len(self.places) != len(self.at_s):
            raise ValueError(f"a trip needs as many times as places: {len(self.at_s)} for {len(self.places)}")

    @property
    def duration_s(self) -> float:
        """Seconds from the first place to the last."""
        return self.at_s[-1]

    @property
    def end(self) -> Place:
        """End of the trip."""
        return self.places[-1]

    def pose(self, elapsed_s: float) -> Pose:
        """Place, heading and speed after `elapsed_s`; at rest at the end once that is passed."""
        if elapsed_s >= self.duration_s:
            return Pose(self.end, self._heading_deg(len(self.places) - 2))
        i = max(0, bisect_right(self.at_s, elapsed_s) - 1)
        a, b = self.places[i], self.places[i + 1]
        span_s = self.at_s[i + 1] - self.at_s[i]
        part = max(0.0, elapsed_s - self.at_s[i]) / span_s
        lat_e7 = a.lat_e7 + round((b.lat_e7 - a.lat_e7) * part)
        lng_e7 = a.lng_e7 + round(short_turn_e7(b.lng_e7 - a.lng_e7) * part)
        at = Place(lat_e7, short_turn_e7(lng_e7))
        return Pose(at, self._heading_deg(i), a.distance_m(b) / span_s)

    def slowed(self, factor: float) -> Trip:
        """The same way, every second of it taking `factor` seconds."""
        return Trip(self.places, tuple(s * factor for s in self.at_s))

    def _heading_deg(self, i: int) -> float:
        """Clockwise from north along the leg that starts at place `i`; 0 when there is no leg."""
        if i < 0:
            return 0.0
        a, b = self.places[i], self.places[i + 1]
        east = short_turn_e7(b.lng_e7 - a.lng_e7) * lng_scale(a.lat_e7)
        return degrees(atan2(east, b.lat_e7 - a.lat_e7)) % 360.0


def straight(places: Sequence[Place], speed_mps: float) -> Trip:
    """A trip through places at one speed."""
    at_s = [0.0]
    for a, b in pairwise(places):
        at_s.append(at_s[-1] + a.distance_m(b) / speed_mps)
    return Trip(tuple(places), tuple(at_s))


class Ways(Protocol):
    """Routes from one place to another."""

    def trip(self, start: Place, end: Place) -> Trip:
        """The way from `start` to `end`, both inclusive, at the speed traffic allows. Never empty; raises nothing."""
