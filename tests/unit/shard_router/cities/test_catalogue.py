"""The catalogue of cities, its checks, and the lookup against the H3 library."""

from __future__ import annotations

import json
from typing import Any

import h3.api.basic_int as h3
import numpy as np
import pytest

from shard_router.cities.catalogue import (
    NO_CITY,
    City,
    CityLookup,
    EmptyCity,
    OverlappingCities,
    load_cities,
    parse_cities,
)
from shard_router.cities.document import BadCity
from shard_router.cities.hexgrid import RESOLUTION

SQUARE = [[0.0, 0.0], [0.1, 0.0], [0.1, 0.1], [0.0, 0.1], [0.0, 0.0]]
EAST_OF_IT = [[0.1, 0.0], [0.2, 0.0], [0.2, 0.1], [0.1, 0.1], [0.1, 0.0]]


@pytest.fixture(scope="module")
def lookup() -> CityLookup:
    return CityLookup(load_cities())


def feature(city: str, ring: list[list[float]], **changes: Any) -> dict[str, Any]:
    properties = {
        "city": city,
        "name": city.title(),
        "country": "ZZ",
        "time_zone": "Etc/UTC",
        "currency": "USD",
        "center": [0.05, 0.05],
    }
    return {
        "type": "Feature",
        "properties": properties | changes,
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }


def catalogue(*features: dict[str, Any]) -> tuple[City, ...]:
    return parse_cities(json.dumps({"type": "FeatureCollection", "features": features}))


def test_the_catalogue_that_ships_is_sound(lookup: CityLookup) -> None:
    """Over twenty real cities and the instance's plane, none overlapping, each holding its own centre."""
    assert len(lookup.cities) >= 21
    assert [city.slug for city in lookup.cities[:3]] == ["la-serena", "coquimbo", "instance"]
    for city in lookup.cities:
        (found,) = lookup.find(*(np.array([part]) for part in city.center_e7))
        assert lookup.cities[found] is city
        assert len(city.country) == 2
        assert len(city.currency) == 3


def test_the_instance_city_holds_its_plane(lookup: CityLookup) -> None:
    """Coordinates of 0 to 13 km, at 90 units a metre, and 5 km around them, lie in `instance`."""
    metres = np.arange(-5_000, 18_001, 500)
    x, y = (axis.ravel() for axis in np.meshgrid(metres, metres))
    found = lookup.find(y * 90, x * 90)
    assert {lookup.cities[i].slug for i in found} == {"instance"}


def test_bulk_lookup_is_membership_of_the_cell() -> None:
    """For 20,000 random places around two neighbours: the city is the one that has the place's cell."""
    seed = 77
    print(f"seed {seed}")
    lookup = CityLookup(load_cities()[:2])
    rng = np.random.default_rng(seed)
    lat = rng.integers(-301_500_000, -297_500_000, 20_000).astype(np.int32)
    lng = rng.integers(-714_500_000, -710_500_000, 20_000).astype(np.int32)
    owner = {int(cell): i for i, city in enumerate(lookup.cities) for cell in city.cells}
    expected = [
        owner.get(h3.latlng_to_cell(a / 1e7, b / 1e7, RESOLUTION), NO_CITY)
        for a, b in zip(lat.tolist(), lng.tolist(), strict=True)
    ]
    found = lookup.find(lat, lng)
    assert found.tolist() == expected
    assert set(expected) == {NO_CITY, 0, 1}


def test_a_place_in_no_city_has_none(lookup: CityLookup) -> None:
    """The middle of an ocean, the poles and the date line belong to nobody."""
    lat_e7 = np.array([-400_000_000, 900_000_000, -900_000_000, 0])
    assert lookup.find(lat_e7, np.array([-1_500_000_000, 0, 0, 1_800_000_000])).tolist() == [NO_CITY] * 4


def test_neighbours_with_a_common_border_share_no_cell() -> None:
    """Two squares side by side split the cells on their border between them."""
    west, east = catalogue(feature("west", SQUARE), feature("east", EAST_OF_IT))
    assert not set(west.cells.tolist()) & set(east.cells.tolist())
    together = catalogue(feature("both", [SQUARE[0], EAST_OF_IT[1], EAST_OF_IT[2], SQUARE[3], SQUARE[0]]))[0]
    assert len(west.cells) + len(east.cells) == len(together.cells)


def test_overlapping_cities_are_refused_and_named() -> None:
    """The error names both cities and a place that both claim."""
    shifted = [[lng + 0.05, lat] for lng, lat in SQUARE]
    with pytest.raises(OverlappingCities, match=r"west: overlaps east in \d+ cells, the first at 0\.\d+, 0\.\d+"):
        CityLookup(catalogue(feature("west", SQUARE), feature("east", shifted)))


@pytest.mark.parametrize(
    ("what", "bad", "error", "message"),
    [
        ("a line", feature("x", [[0, 0], [1, 1], [0, 0], [0, 0]]), BadCity, "x: geometry: the polygon is empty"),
        ("no points", feature("x", []), BadCity, r"x: geometry.coordinates\[0\]: must have at least 4 items"),
        (
            "a bow tie",
            feature("x", [[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]),
            BadCity,
            "x: .*Self-intersection",
        ),
        ("two points", feature("x", [[0, 0], [1, 1]]), BadCity, "x: "),
        (
            "off the earth",
            feature("x", [[190, 0], [191, 0], [191, 1], [190, 0]]),
            BadCity,
            r"coordinates\[0\]\[0\]\[0\]: must be less than or equal to 180",
        ),
        ("date line", feature("x", [[-179, 0], [179, 0], [179, 1], [-179, 0]]), BadCity, "date line"),
        (
            "time zone",
            feature("x", SQUARE, time_zone="Mars/Base"),
            BadCity,
            "properties.time_zone: is no time zone .*, got 'Mars/Base'",
        ),
        ("centre", feature("x", SQUARE, center="here"), BadCity, "x: properties.center: must be an array"),
    ],
)
def test_bad_polygons_are_refused_and_the_city_named(
    what: str, bad: dict[str, Any], error: type[BadCity], message: str
) -> None:
    """Each kind of bad description has its typed error."""
    with pytest.raises(error, match=message):
        catalogue(bad)


def test_a_polygon_smaller_than_a_cell_is_refused() -> None:
    """A square of a few metres holds no cell's centre."""
    tiny = [[0.00001 * lng, 0.00001 * lat] for lng, lat in SQUARE]
    with pytest.raises(EmptyCity, match="x: the polygon holds the centre of no cell"):
        CityLookup(catalogue(feature("x", tiny)))


def test_a_city_named_twice_is_refused() -> None:
    """Two cities of one name would share a partition."""
    with pytest.raises(BadCity, match="x: named twice"):
        catalogue(feature("x", SQUARE), feature("x", EAST_OF_IT))
