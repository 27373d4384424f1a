"""Delays by traffic, rain and closed streets: a world that nobody in the system is told about.

    seconds of a leg = free-flow seconds x cell and hour x rain x closure x this trip's luck

Cells are H3 cells of resolution 9, hours are local. What a cell is like is drawn from the city's seed and stays; rain
and closures belong to one day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from math import exp
from random import Random
from typing import Protocol
from zoneinfo import ZoneInfo

import h3.api.basic_int as h3

from simulator.city.model import Place
from simulator.city.motion import Trip
from simulator.city.params import TrafficParams

_RESOLUTION = 9
_HOUR_MS = 3_600_000

#: Share of the day's worst congestion at each full hour of local time on a working day; straight lines between.
WORKDAY = (
    0,
    0,
    0,
    0,
    0,
    0.05,
    0.3,
    0.8,
    0.9,
    0.5,
    0.3,
    0.4,
    0.7,
    0.75,
    0.5,
    0.35,
    0.45,
    0.8,
    1,
    0.95,
    0.6,
    0.3,
    0.15,
    0.05,
)
#: The same on Saturdays and Sundays.
WEEKEND = (
    0.1,
    0,
    0,
    0,
    0,
    0,
    0,
    0.05,
    0.1,
    0.2,
    0.3,
    0.45,
    0.6,
    0.55,
    0.4,
    0.3,
    0.3,
    0.35,
    0.45,
    0.5,
    0.5,
    0.4,
    0.3,
    0.2,
)


class Traffic(Protocol):
    """Traffic that a trip on the road meets."""

    def driven(self, trip: Trip, at_ms: int, rng: Random) -> Trip:
        """The trip with the times at which its places are really passed, by one who leaves at `at_ms`."""


class FreeTraffic:
    """Traffic without delays."""

    def driven(self, trip: Trip, at_ms: int, rng: Random) -> Trip:
        return trip


@dataclass(frozen=True, slots=True)
class Rain:
    """It rains all over the city from `on_ms` to `off_ms`: every leg takes `slow` times as long."""

    on_ms: int
    off_ms: int
    slow: float


@dataclass(frozen=True, slots=True)
class Closure:
    """A cell whose streets are closed, so that one has to wind through."""

    cell: int
    on_ms: int
    off_ms: int


@dataclass(frozen=True, slots=True)
class Weather:
    """Disturbances of a day."""

    rain: tuple[Rain, ...] = ()
    closures: tuple[Closure, ...] = ()

    def rains(self, at_ms: int) -> bool:
        """Whether it rains."""
        return any(r.on_ms <= at_ms < r.off_ms for r in self.rain)


def draw_weather(params: TrafficParams, begin_ms: int, end_ms: int, near: Sequence[Place], rng: Random) -> Weather:
    """A day's rain, and closures around some of the places `near` which people have to go."""
    rain = [_rain(params, begin_ms, end_ms, rng) for _ in range(rng.randint(*params.rains))]
    closures = []
    for _ in range(rng.randint(*params.closures)):
        place = rng.choice(list(near))
        on_ms = rng.randint(begin_ms, end_ms)
        cell = rng.choice(sorted(h3.grid_disk(h3.latlng_to_cell(place.lat, place.lng, _RESOLUTION), 1)))
        closures.append(Closure(cell, on_ms, on_ms + round(rng.uniform(*params.closed_h) * _HOUR_MS)))
    return Weather(tuple(rain), tuple(closures))


def _rain(params: TrafficParams, begin_ms: int, end_ms: int, rng: Random) -> Rain:
    on_ms = rng.randint(begin_ms, end_ms)
    return Rain(on_ms, on_ms + round(rng.uniform(*params.rain_h) * _HOUR_MS), rng.uniform(*params.rain_slow))


@dataclass(slots=True)
class HiddenTraffic:
    """The traffic of a city. Cells keep their character; equal seeds make equal cities."""

    params: TrafficParams
    zone: ZoneInfo
    center: Place
    seed: int
    weather: Weather = field(default_factory=Weather)
    _cells: dict[int, tuple[float, float]] = field(default_factory=dict)

    def driven(self, trip: Trip, at_ms: int, rng: Random) -> Trip:
        luck = rng.lognormvariate(0, self.params.luck)
        passed_s = [0.0]
        for (a, b), (start_s, end_s) in zip(pairwise(trip.places), pairwise(trip.at_s), strict=True):
            slow = self.slow(
                Place((a.lat_e7 + b.lat_e7) // 2, (a.lng_e7 + b.lng_e7) // 2), at_ms + round(passed_s[-1] * 1000)
            )
            passed_s.append(passed_s[-1] + (end_s - start_s) * slow * luck)
        return Trip(trip.places, tuple(passed_s))

    def slow(self, at: Place, at_ms: int) -> float:
        """Seconds here and now over those of free flow."""
        cell = h3.latlng_to_cell(at.lat, at.lng, _RESOLUTION)
        base, jam = self._cell(cell, at)
        slow = base * (1 + jam * self._congestion(at_ms))
        slow *= max((rain.slow for rain in self.weather.rain if rain.on_ms <= at_ms < rain.off_ms), default=1.0)
        for closure in self.weather.closures:
            if closure.cell == cell and closure.on_ms <= at_ms < closure.off_ms:
                slow *= self.params.closed_slow
        return slow

    def _cell(self, cell: int, at: Place) -> tuple[float, float]:
        found = self._cells.get(cell)
        if found is None:
            rng = Random(f"{self.seed}/cell {cell}")
            centre = exp(-self.center.distance_m(at) / self.params.centre_m)
            jam = self.params.jam * (0.4 + 0.6 * centre) * rng.lognormvariate(0, self.params.unlike)
            found = self._cells[cell] = rng.lognormvariate(0, self.params.unlike / 2), jam
        return found

    def _congestion(self, at_ms: int) -> float:
        local = datetime.fromtimestamp(at_ms / 1000, self.zone)
        hours = WEEKEND if local.weekday() >= 5 else WORKDAY
        part = local.minute / 60
        return hours[local.hour] * (1 - part) + hours[(local.hour + 1) % 24] * part
