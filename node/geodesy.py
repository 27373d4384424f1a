"""Distances on earth between places in 1e-7 degrees (`lat_e7`, `lng_e7`). Pure.

The earth is a sphere of its mean radius, R1 = (2 a + b) / 3 of the ellipsoid GRS 80 (IUGG; Moritz, "Geodetic Reference
System 1980", J. Geodesy 74, 2000).

    great circle   any distance; within 0.56 % of the ellipsoid
    flat           a plane with its longitudes shrunk by cos(middle latitude); off the great circle by at most
                   4e-7 over 10 km and 4e-5 over 100 km, below 60 degrees of latitude

Every function takes the short way round: 179.9 E to 179.9 W are 0.2 degrees. Worked example: La Serena
(-29.9027, -71.2520) to Coquimbo (-29.9533, -71.3436) are 5.63 km south and 8.83 km west, 10.47 km in all.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import asin, cos, hypot, radians, sin, sqrt
from typing import Any, Final, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

EARTH_RADIUS_M: Final = 6_371_008.8

M_PER_E7: Final = EARTH_RADIUS_M * radians(1e-7)
"""Metres in 1e-7 degrees of latitude: 11.1 mm."""

MAX_LAT_E7: Final = 900_000_000
MAX_LNG_E7: Final = 1_800_000_000

Floats = NDArray[np.float64]
Degrees = NDArray[np.integer] | NDArray[np.floating]
_Turn = TypeVar("_Turn", int, float, NDArray[Any])


class Place(Protocol):
    """Whatever has a latitude and a longitude."""

    @property
    def lat_e7(self) -> int: ...
    @property
    def lng_e7(self) -> int: ...


def points(places: Iterable[Place]) -> NDArray[np.int64]:
    """Places as an array (n, 2) of lat_e7 and lng_e7."""
    return np.array([(place.lat_e7, place.lng_e7) for place in places], np.int64).reshape(-1, 2)


def short_turn_e7(lng_e7: _Turn) -> _Turn:
    """A difference of longitudes, or a longitude beyond 180 degrees, brought within -180..180 (180 excluded).

    Arrays are of int64 or float64: the sums do not fit into int32.
    """
    return (lng_e7 + MAX_LNG_E7) % (2 * MAX_LNG_E7) - MAX_LNG_E7


def lng_scale(lat_e7: float) -> float:
    """Length of a degree of longitude at a latitude, over that of a degree of latitude."""
    return cos(radians(lat_e7 / 1e7))


def lng_scales(lat_e7: Degrees | np.floating) -> Floats:
    """`lng_scale` of each latitude."""
    return np.asarray(np.cos(np.radians(lat_e7 * 1e-7)))


def distance_m(a: Place, b: Place) -> float:
    """Metres along the great circle, by the haversine formula."""
    lat_a, lat_b = radians(a.lat_e7 / 1e7), radians(b.lat_e7 / 1e7)
    half_lat = (lat_b - lat_a) / 2
    half_lng = radians((b.lng_e7 - a.lng_e7) / 1e7) / 2
    h = sin(half_lat) ** 2 + cos(lat_a) * cos(lat_b) * sin(half_lng) ** 2
    return 2 * EARTH_RADIUS_M * asin(sqrt(min(1.0, h)))


def distances_m(a: Degrees, b: Degrees) -> Floats:
    """`distance_m` between places of any shapes that go together; the last axis is lat_e7, lng_e7."""
    lat_a, lat_b = np.radians(a[..., 0] * 1e-7), np.radians(b[..., 0] * 1e-7)
    half_lat = (lat_b - lat_a) / 2
    half_lng = np.radians(np.subtract(b[..., 1], a[..., 1], dtype=np.float64) * 1e-7) / 2
    h = np.sin(half_lat) ** 2 + np.cos(lat_a) * np.cos(lat_b) * np.sin(half_lng) ** 2
    return np.asarray(2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.minimum(h, 1.0))))


def arcs_m(chords: Floats) -> Floats:
    """Metres along the great circle under chords of the unit sphere: a chord c spans the angle 2 asin(c / 2)."""
    return np.asarray(2 * EARTH_RADIUS_M * np.arcsin(np.minimum(chords, 2.0) / 2))


def flat_distance_m(a: Place, b: Place) -> float:
    """Metres on the flat map."""
    north = (b.lat_e7 - a.lat_e7) * M_PER_E7
    middle = (a.lat_e7 / 1e7 + b.lat_e7 / 1e7) / 2
    east = short_turn_e7(b.lng_e7 - a.lng_e7) * M_PER_E7 * cos(radians(middle))
    return hypot(north, east)


def flat_steps_m(line: Degrees) -> Floats:
    """Metres on the flat map from each of n points (n, 2) to the next, (n - 1,)."""
    lat = np.radians(line[:, 0] * 1e-7)
    lng = np.radians(line[:, 1] * 1e-7)
    east = np.diff(lng)
    east -= 2 * np.pi * np.rint(east / (2 * np.pi))
    return np.asarray(EARTH_RADIUS_M * np.hypot(np.diff(lat), east * np.cos((lat[1:] + lat[:-1]) / 2)))
