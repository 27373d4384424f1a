"""Extents, membership and neighbourhood on both sides of the date line."""

from __future__ import annotations

from typing import Any

import h3.api.basic_int as h3
import numpy as np
import pytest
import shapely

from shard_router.cities.catalogue import CityLookup, load_cities, parse_city
from shard_router.cities.document import BadCity
from shard_router.cities.polygons import around_the_globe, cells_within, longitude_span_deg
from tests.unit.shard_router.cities.test_catalogue import feature


def box(west: float, east: float, south: float = -17.0, north: float = -16.8) -> list[list[float]]:
    """The ring of a rectangle; at Fiji's latitude if none is given."""
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def across(*rings: list[list[float]], center: list[float]) -> dict[str, Any]:
    """A city of several parts."""
    geometry = {"type": "MultiPolygon", "coordinates": [[ring] for ring in rings]}
    return {**feature("taveuni", rings[0], center=center), "geometry": geometry}


def test_a_city_cut_at_the_date_line_is_as_wide_as_it_is() -> None:
    """Two parts of a tenth of a degree each: 0.2 degrees, not 360; each place belongs to it on either side."""
    city = parse_city(across(box(179.9, 180.0), box(-180.0, -179.9), center=[179.95, -16.9]))
    assert longitude_span_deg(city.polygon) == pytest.approx(0.2)
    lookup = CityLookup([city])
    seed = 5
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    lat = rng.integers(-170_500_000, -167_500_000, 2_000)
    lng = (rng.integers(1_798_500_000, 1_801_500_000, 2_000) + 1_800_000_000) % 3_600_000_000 - 1_800_000_000
    found = lookup.find(lat, lng) == 0
    unwrapped = np.where(lng < 0, lng / 1e7 + 360, lng / 1e7)
    cells = [h3.latlng_to_cell(a / 1e7, b / 1e7, 9) for a, b in zip(lat.tolist(), lng.tolist(), strict=True)]
    centres = np.array([h3.cell_to_latlng(cell) for cell in cells])
    east = np.where(centres[:, 1] < 0, centres[:, 1] + 360, centres[:, 1])
    inside = (np.abs(centres[:, 0] + 16.9) < 0.1) & (np.abs(east - 180) < 0.1)
    assert found.tolist() == inside.tolist()
    assert 0 < found.sum() < len(found)
    assert unwrapped[found].min() < 180 < unwrapped[found].max()


@pytest.mark.parametrize(
    ("rings", "said"),
    [
        ([box(-179.9, 179.9)], "crosses the date line: cut it there in two"),
        ([box(178.0, 179.0), box(-178.0, -177.0)], r"spans 5.0 by 0.2 degrees"),
        ([box(179.9, 180.1)], "must be less than or equal to 180"),
        ([box(0, 0.1), box(179.9, 180.0)], r"spans 180.0 by 0.2 degrees"),
    ],
)
def test_extents_that_no_city_has_are_refused(rings: list[list[list[float]]], said: str) -> None:
    """An uncut ring, parts too far apart across the line, longitudes beyond 180, two ends of the world."""
    with pytest.raises(BadCity, match=said):
        parse_city(across(*rings, center=rings[0][0]))


def test_the_smallest_arc_holds_overlapping_and_ordered_parts() -> None:
    """Against the widest gap on a circle of a million steps."""
    rng = np.random.default_rng(9)
    for _ in range(50):
        west = rng.uniform(-180, 170, 4)
        boxes = [shapely.box(at, 0, at + width, 1) for at, width in zip(west, rng.uniform(0.1, 10, 4), strict=True)]
        polygon = shapely.MultiPolygon(boxes)
        steps = np.arange(0, 360, 0.001) - 180
        covered = np.zeros(len(steps), np.bool_)
        for part in boxes:
            covered |= (steps >= part.bounds[0]) & (steps <= part.bounds[2])
        on = np.flatnonzero(covered)
        gaps = np.diff(np.append(on, on[0] + len(steps)))
        assert longitude_span_deg(polygon) == pytest.approx(360 - gaps.max() * 0.001, abs=0.01)


def test_places_across_the_date_line_are_near() -> None:
    """A polygon at 180 degrees east touches one at 180 degrees west, and one elsewhere is left as it is."""
    east, west, far = shapely.box(179.9, 0, 180, 0.1), shapely.box(-180, 0, -179.9, 0.1), shapely.box(10, 0, 11, 1)
    assert shapely.dwithin(around_the_globe(east), west, 0.005)
    assert not shapely.dwithin(around_the_globe(east), far, 0.005)
    assert around_the_globe(far) is far


def test_cells_are_those_of_the_library() -> None:
    """For every city that ships, and for islands with a lake: what H3's own polygon walk finds."""
    lake = shapely.box(0, 0, 0.1, 0.1) - shapely.box(0.03, 0.03, 0.06, 0.06)
    islands = shapely.MultiPolygon([lake, shapely.box(0.2, 0, 0.21, 0.01)])
    for polygon in [*(city.polygon for city in load_cities()), islands]:
        assert cells_within(polygon).tolist() == sorted(h3.geo_to_cells(polygon, 9))
