"""Borders that change: what is refused, what it changes, and that a lookup answers for the new ones at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shapely

from shard_router.cities.borders import Border, checked, overlaid
from shard_router.cities.catalogue import City, CityLookup, OverlappingCities
from shard_router.cities.document import BadCity
from tests.unit.shard_router.cities.test_catalogue import EAST_OF_IT, SQUARE, catalogue, feature

WEST_CENTER, EAST_CENTER = [0.05, 0.05], [0.15, 0.05]


def two_cities() -> tuple[City, ...]:
    """West and east, with a common border at 0.1 degrees."""
    return catalogue(feature("west", SQUARE), feature("east", EAST_OF_IT, center=EAST_CENTER))


def ring(west: float, south: float, east: float, north: float) -> list[list[float]]:
    """A rectangle."""
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def test_a_smaller_border_loses_cells_and_wins_none() -> None:
    """West gives up its northern half."""
    change = checked(two_cities(), feature("west", ring(0, 0, 0.1, 0.06)))
    assert change.city == "west"
    assert change.won == 0
    assert change.lost > 0
    assert change.cells + change.lost == len(two_cities()[0].cells)


@pytest.mark.parametrize(
    ("label", "document", "said"),
    [
        ("a neighbour's ground", feature("west", ring(0, 0, 0.15, 0.1)), "overlaps east"),
        ("no city of ours", feature("north", ring(0, 0.2, 0.1, 0.3)), "not in the catalogue"),
        ("smaller than a cell", feature("west", ring(0.05, 0.05, 0.0501, 0.0501)), "west"),
        ("a line", feature("west", [[0, 0], [0.1, 0], [0, 0]]), "west"),
        ("a bow tie", feature("west", [[0, 0], [0.1, 0.1], [0.1, 0], [0, 0.1], [0, 0]]), "west"),
        ("half a world", feature("west", ring(-80, -40, 80, 40)), "spans 160.0 by 80.0 degrees"),
        ("off the globe", feature("west", ring(0, 80, 0.1, 95)), r"coordinates\[0\]\[2\]\[1\]: must be less than 90"),
        (
            "no numbers",
            feature("west", [[float("nan"), 0], [0.1, 0], [0.1, 0.1], [float("nan"), 0]]),
            r"coordinates\[0\]\[0\]\[0\]",
        ),
        ("its centre outside", feature("west", ring(0.06, 0, 0.1, 0.1)), "its centre 0.05000, 0.05000 lies outside"),
        ("another currency", feature("west", SQUARE, currency="EUR"), "has the currency USD"),
        ("no such time zone", feature("west", SQUARE, time_zone="Mars/Olympus"), "Mars/Olympus"),
        ("a point", {**feature("west", SQUARE), "geometry": {"type": "Point", "coordinates": [0, 0]}}, "Point"),
        ("no geometry", {"type": "Feature", "properties": feature("west", SQUARE)["properties"]}, "geometry"),
        (
            "no properties",
            {"type": "Feature", "geometry": feature("west", SQUARE)["geometry"]},
            "properties: is missing",
        ),
    ],
)
def test_what_is_no_border_is_refused_with_the_place_named(label: str, document: dict[str, Any], said: str) -> None:
    """Each in words that name the city and the fault; nothing of it is published."""
    with pytest.raises(BadCity, match=said):
        checked(two_cities(), document)


def test_the_newest_border_of_a_city_holds() -> None:
    """Order and partition of the cities stay; a border of a city that nobody ships is left alone."""
    small, smaller = feature("west", ring(0, 0, 0.1, 0.08)), feature("west", ring(0, 0, 0.1, 0.06))
    borders = [
        Border(1, "west", small, "ana", 0),
        Border(2, "atlantis", feature("atlantis", ring(5, 5, 5.1, 5.1), center=[5.05, 5.05]), "ana", 0),
        Border(3, "west", smaller, "ana", 0),
    ]
    cities = overlaid(two_cities(), borders)
    assert [city.slug for city in cities] == ["west", "east"]
    assert cities[0].polygon.equals(shapely.box(0, 0, 0.1, 0.06))


def test_ground_changes_hands_loser_first() -> None:
    """East may take what west has given up, and not before."""
    shrunk, grown = feature("west", ring(0, 0, 0.08, 0.1)), feature("east", ring(0.08, 0, 0.2, 0.1), center=EAST_CENTER)
    with pytest.raises(OverlappingCities, match="west"):
        checked(two_cities(), grown)
    between = overlaid(two_cities(), [Border(1, "west", shrunk, "", 0)])
    assert checked(between, grown).won > 0


def test_a_lookup_answers_for_the_new_cities_at_once() -> None:
    """A place that west gave up belongs to nobody; a set that overlaps is refused and the old one goes on."""
    lookup = CityLookup(two_cities())
    place = np.array([900_000]), np.array([500_000])
    assert lookup.cities[lookup.find(*place)[0]].slug == "west"
    lookup.replace(overlaid(two_cities(), [Border(1, "west", feature("west", ring(0, 0, 0.1, 0.06)), "", 0)]))
    assert lookup.find(*place).tolist() == [-1]
    with pytest.raises(OverlappingCities):
        lookup.replace(catalogue(feature("one", SQUARE), feature("two", SQUARE)))
    assert [city.slug for city in lookup.cities] == ["west", "east"]
