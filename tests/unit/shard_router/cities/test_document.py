"""A city's GeoJSON is checked whole: every missing or wrong field is named at once, with its path."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shard_router.cities.borders import checked
from shard_router.cities.catalogue import parse_city
from shard_router.cities.document import BadCity, is_time_zone, parse_document
from tests.unit.shard_router.cities.test_catalogue import SQUARE, catalogue, feature

TEXT_IN_RING: Any = [[0, 0], [0, "1"], [1, 1], [0, 0]]


def without(*names: str) -> dict[str, Any]:
    """A sound feature without some properties."""
    document = feature("west", SQUARE)
    for name in names:
        del document["properties"][name]
    return document


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (without("country", "currency"), ["properties.country: is missing", "properties.currency: is missing"]),
        (feature("west", SQUARE, time_zone=None), ["properties.time_zone: must be a text, got None"]),
        (
            feature("west", SQUARE, name={"es": "x"}, country=7),
            ["properties.name: must be a text", "properties.country"],
        ),
        (feature("west", SQUARE, name=""), ["properties.name: must have at least 1 character"]),
        (feature("west ", SQUARE), ["properties.city: must match"]),
        (
            {**feature("west", SQUARE), "properties": {"city": 5}},
            ["properties.city: must be a text, got 5", "properties.center: is missing"],
        ),
        (feature("west", SQUARE, center=[0.05]), ["properties.center[1]: is missing"]),
        (feature("west", SQUARE, center=[0.05, True]), ["properties.center[1]: must be a number"]),
        ({**feature("west", SQUARE), "geometry": None}, ["geometry: must be an object, got None"]),
        ({**feature("west", SQUARE), "properties": None}, ["properties: must be an object, got None"]),
        ({"type": "FeatureCollection", "features": None}, ["features: must be a list"]),
        ({"type": "FeatureCollection", "features": []}, ["features: holds 0 features"]),
        ({"type": "FeatureCollection", "features": [None]}, ["features[0]", "must be an object"]),
        (
            {"type": "FeatureCollection", "features": [feature("west", TEXT_IN_RING, name=3)]},
            ["features[0].geometry.coordinates[0][1][1]: must be a number", "features[0].properties.name: must be"],
        ),
        ([], ["must be a GeoJSON feature"]),
    ],
    ids=lambda value: json.dumps(value)[:40] if isinstance(value, dict) else "",
)
def test_every_fault_of_a_document_is_named_at_once(document: Any, said: list[str]) -> None:
    """Missing fields, wrong types, nulls at each level, and where in a collection they stand."""
    with pytest.raises(BadCity) as refused:
        parse_city(document)
    for words in said:
        assert words in str(refused.value)


@pytest.mark.parametrize(
    "name",
    ["America", "", "..", "../UTC", "posix/America/Santiago", "america/santiago", "localtime", "zone.tab", "Factory"],
)
def test_folders_and_files_beside_the_time_zones_are_none(name: str) -> None:
    """What stands in the database's folder but names no place."""
    assert not is_time_zone(name)
    with pytest.raises(BadCity, match=r"properties\.time_zone: is no time zone"):
        parse_city(feature("west", SQUARE, time_zone=name))


@pytest.mark.parametrize("name", ["America/Santiago", "America/Argentina/Buenos_Aires", "Etc/GMT+3", "UTC"])
def test_time_zones_are_known_by_their_names(name: str) -> None:
    """Of one, two and three parts."""
    assert is_time_zone(name)


def test_a_border_changes_nothing_but_the_border() -> None:
    """Each other property that differs from the map's is refused by name, all at once."""
    moved = feature("west", SQUARE, name="Elsewhere", country="JP", time_zone="Asia/Tokyo", center=[0.06, 0.05])
    with pytest.raises(BadCity) as refused:
        checked(catalogue(feature("west", SQUARE)), moved)
    for name in ("name", "country", "time_zone", "center"):
        assert f"properties.{name}: the city has" in str(refused.value)
    assert "currency" not in str(refused.value)


def test_what_has_no_effect_is_said_and_not_stored() -> None:
    """A property that the router does not know, an altitude, and an island that holds no cell."""
    document = feature("west", SQUARE, population=7)
    island = [[0.2, 0.2], [0.2001, 0.2], [0.2001, 0.2001], [0.2, 0.2]]
    ring = [[*place, 12.5] for place in SQUARE]
    document["geometry"] = {"type": "MultiPolygon", "coordinates": [[ring], [island]]}
    change = checked(catalogue(feature("west", SQUARE)), document)
    assert len(change.warnings) == 2
    assert change.warnings[0].startswith("properties.population: has no use here")
    assert change.warnings[1].startswith("geometry.coordinates[1], near 0.20003, 0.20007: the part is too small")
    assert "population" not in change.feature["properties"]
    assert parse_city(change.feature).polygon.bounds == (0, 0, 0.2001, 0.2001)


def test_a_document_over_the_limit_is_refused_in_its_own_unit() -> None:
    """Bytes of the text, points of the border."""
    with pytest.raises(BadCity, match="larger than 16,777,216 bytes: simplify"):
        parse_document(" " * (16 << 20) + "{}")
    ring = [[0.1 * number / 100_001, 0.0] for number in range(100_001)] + [[0.1, 0.1], [0.0, 0.1]]
    with pytest.raises(BadCity, match="has 100,004 points, more than 100,000: simplify"):
        parse_city(feature("west", ring))
