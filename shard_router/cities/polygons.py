"""Check that a polygon can be the border of a city.

Longitudes are a circle: a city across the date line is a multi-polygon that is cut there, as RFC 7946 (3.1.9) says,
and its extent is the smallest arc that holds all parts.

        179.9      180 -180      -179.9
          +---------+   +----------+         bounds say 360 degrees wide; it is 0.2
          |  west   |   |   east   |
          +---------+   +----------+
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final, TypeAlias

import h3.api.basic_int as h3
import numpy as np
import shapely
from numpy.typing import NDArray

from shard_router.cities.hexgrid import RESOLUTION

Polygon: TypeAlias = shapely.Polygon | shapely.MultiPolygon

#: No city is wider or higher, degrees: a slip of the pen would else be a billion cells.
MAX_SPAN_DEG: Final = 3.0
#: Points of one border. The shoreline of New York at full detail has some 40,000.
MAX_POINTS: Final = 100_000


def polygon_of(geometry: dict[str, Any]) -> Polygon:
    """The polygon of a GeoJSON geometry. Raises `ValueError` saying what is wrong with it."""
    try:
        polygon = shapely.geometry.shape(geometry)
    except (ValueError, TypeError, shapely.errors.ShapelyError) as error:
        raise ValueError(f"is no polygon: {error}") from error
    if not isinstance(polygon, Polygon):
        raise ValueError(f"is a {polygon.geom_type}, not a polygon")
    return polygon


def problem_of(polygon: Polygon) -> str:
    """Reason why the polygon cannot be a city's border; empty if it can."""
    points = shapely.get_num_coordinates(polygon)
    if points > MAX_POINTS:
        return f"has {points:,} points, more than {MAX_POINTS:,}: simplify it by some metres"
    if polygon.is_empty or polygon.convex_hull.area == 0:
        return "the polygon is empty"
    if not polygon.is_valid:
        return f"the polygon is no proper one: {shapely.is_valid_reason(polygon)}"
    _, south, _, north = polygon.bounds
    width = longitude_span_deg(polygon)
    if width > 180:
        return "the polygon crosses the date line: cut it there in two"
    if max(width, north - south) > MAX_SPAN_DEG:
        return f"spans {width:.1f} by {north - south:.1f} degrees, more than {MAX_SPAN_DEG:g}: no city does"
    return ""


def longitude_span_deg(polygon: Polygon) -> float:
    """Width of the smallest arc of longitudes that holds all parts."""
    boxes = shapely.bounds(shapely.get_parts(polygon))
    boxes = boxes[np.argsort(boxes[:, 0])]
    west, reached = boxes[:, 0], np.maximum.accumulate(boxes[:, 2])
    gaps = np.append(west[1:] - reached[:-1], west[0] + 360 - reached[-1])
    return float(360 - gaps.max())


def around_the_globe(geometry: shapely.Geometry) -> shapely.Geometry:
    """The geometry with its copies 360 degrees to the west and to the east, where these come within 180 degrees.

    Planar tests against it (contains, within a distance) are right on both sides of the date line.
    """
    west, _, east, _ = geometry.bounds
    copies = [shapely.transform(geometry, partial(np.add, (by, 0.0))) for by in _shifts(west, east)]
    return shapely.union_all([geometry, *copies]) if copies else geometry


def _shifts(west: float, east: float) -> list[float]:
    """Degrees by which copies are moved: only what lies within 3 degrees of the date line needs one."""
    return [by for by, near in ((360.0, west < -180 + MAX_SPAN_DEG), (-360.0, east > 180 - MAX_SPAN_DEG)) if near]


def cells_within(polygon: Polygon) -> NDArray[np.uint64]:
    """The H3 cells whose centres lie in the polygon, sorted.

    The cells of each part's box, filtered by shapely: H3's own walk takes seconds for a shoreline of 100,000 points, as
    it tries every cell against every point.
    """
    found = [_cells_within_part(part) for part in shapely.get_parts(polygon)]
    return np.unique(np.concatenate(found))


def _cells_within_part(part: shapely.Polygon) -> NDArray[np.uint64]:
    cells = h3.geo_to_cells(shapely.box(*part.bounds), RESOLUTION)
    centres = np.array([h3.cell_to_latlng(cell) for cell in cells]).reshape(-1, 2)
    shapely.prepare(part)
    inside: NDArray[np.bool_] = shapely.contains_xy(part, centres[:, 1], centres[:, 0])
    return np.array(cells, np.uint64)[inside]


def parts_without_cells(polygon: Polygon) -> list[str]:
    """The parts of a multi-polygon too small to hold the centre of a cell, by number and place."""
    return [
        f"geometry.coordinates[{number}], near {part.centroid.y:.5f}, {part.centroid.x:.5f}"
        for number, part in enumerate(shapely.get_parts(polygon))
        if len(cells_within(part)) == 0
    ]
