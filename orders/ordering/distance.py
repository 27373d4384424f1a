"""Great-circle distance: all that orders know of geography. Roads are dispatch's business."""

from __future__ import annotations

from math import asin, cos, radians, sin, sqrt

from orders.model import Position

#: IUGG mean radius.
_EARTH_M = 6_371_008.8


def distance_m(a: Position, b: Position) -> float:
    """Metres along the great circle (haversine; within 0.6% of the ellipsoid)."""
    lat_a, lat_b = radians(a.lat_e7 / 1e7), radians(b.lat_e7 / 1e7)
    half_lat = (lat_b - lat_a) / 2
    half_lng = radians((b.lng_e7 - a.lng_e7) / 1e7) / 2
    h = sin(half_lat) ** 2 + cos(lat_a) * cos(lat_b) * sin(half_lng) ** 2
    return 2 * _EARTH_M * asin(sqrt(min(1.0, h)))
