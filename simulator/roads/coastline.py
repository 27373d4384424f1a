"""Coastline of La Serena and Coquimbo, drawn by hand for the map: good to a block or two."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import shapely

# (lng, lat) along the shore from Punta Teatinos south around the peninsula of Coquimbo, then back offshore.
_SHORE: Final = (
    (-71.335, -29.700),
    (-71.325, -29.760),
    (-71.297, -29.800),
    (-71.2925, -29.825),
    (-71.284, -29.845),
    (-71.277, -29.870),
    (-71.2755, -29.905),
    (-71.2775, -29.920),
    (-71.2815, -29.930),
    (-71.2862, -29.940),
    (-71.2955, -29.9495),
    (-71.306, -29.956),
    (-71.316, -29.959),
    (-71.325, -29.9595),
    (-71.332, -29.956),
    (-71.3338, -29.950),
    (-71.334, -29.940),
    (-71.3345, -29.934),
    (-71.340, -29.9335),
    (-71.346, -29.936),
    (-71.352, -29.942),
    (-71.3575, -29.951),
    (-71.3585, -29.960),
    (-71.355, -29.966),
    (-71.3505, -29.970),
    (-71.348, -29.975),
    (-71.3475, -29.981),
    (-71.350, -29.988),
    (-71.356, -29.9925),
    (-71.366, -29.991),
    (-71.373, -29.984),
    (-71.381, -29.989),
    (-71.382, -30.010),
    (-71.374, -30.040),
    (-71.378, -30.070),
    (-71.388, -30.100),
    (-71.400, -30.160),
)
_OFFSHORE: Final = ((-71.70, -30.16), (-71.70, -29.70))
_QUAY_DEG: Final = 0.0007
"""Land on either side of a road: 70 m."""


def sea_beside(roads: Iterable[shapely.Geometry]) -> shapely.Polygon:
    """The sea, held off the roads."""
    water = shapely.Polygon([*_SHORE, *_OFFSHORE])
    land = shapely.union_all([road.buffer(_QUAY_DEG) for road in roads if road.distance(water) < _QUAY_DEG])
    left = shapely.get_parts(water.difference(land).simplify(_QUAY_DEG / 4))
    largest: shapely.Polygon = max(left, key=lambda part: part.area)
    return shapely.Polygon(largest.exterior)
