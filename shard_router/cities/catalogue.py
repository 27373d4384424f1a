"""The catalogue of cities, and which city a place belongs to.

A city is a polygon in `cities.geojson`; its territory is the set of H3 cells whose centres lie in the
polygon. A centre is in one place only, so two polygons with a common border never share a cell, and a place
belongs to a city exactly if its cell does.

A city's place in the file is the number of its Kafka partition: add new ones at the end, never reorder.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import Any, Final

import h3.api.basic_int as h3
import numpy as np
import shapely
from numpy.typing import NDArray

from shard_router.cities.document import BadCity, city_feature
from shard_router.cities.hexgrid import E7, cell_keys, keys_of_cells
from shard_router.cities.polygons import Polygon, cells_within, polygon_of, problem_of

NO_CITY: Final = -1


class EmptyCity(BadCity):
    """The polygon has no cell of its own: it is empty, a line, or smaller than a cell."""


class OverlappingCities(BadCity):
    """Two polygons claim the same ground."""

    def __init__(self, city: str, other: str, shared: Sequence[int]) -> None:
        self.other = other
        lat, lng = h3.cell_to_latlng(shared[0])
        super().__init__(city, f"overlaps {other} in {len(shared)} cells, the first at {lat:.5f}, {lng:.5f}")


@dataclass(frozen=True, eq=False)
class City:
    """A city of the catalogue. `center_e7` is (lat_e7, lng_e7) of its middle as people see it."""

    slug: str
    name: str
    country: str
    time_zone: str
    currency: str
    center_e7: tuple[int, int]
    polygon: Polygon

    @cached_property
    def cells(self) -> NDArray[np.uint64]:
        """Its H3 cells, sorted. Raises `EmptyCity`."""
        found = cells_within(self.polygon)
        if len(found) == 0:
            raise EmptyCity(self.slug, "the polygon holds the centre of no cell")
        return found

    def border(self) -> dict[str, Any]:
        """The polygon as a GeoJSON geometry."""
        return dict(shapely.geometry.mapping(self.polygon))

    def properties(self) -> dict[str, Any]:
        """All but the border, as in the catalogue."""
        lat_e7, lng_e7 = self.center_e7
        return {
            "city": self.slug,
            "name": self.name,
            "country": self.country,
            "time_zone": self.time_zone,
            "currency": self.currency,
            "center": [lng_e7 / 1e7, lat_e7 / 1e7],
        }

    def feature(self) -> dict[str, Any]:
        """The city as a GeoJSON feature of the catalogue."""
        return {"type": "Feature", "properties": self.properties(), "geometry": self.border()}


class CityLookup:
    """City of each of many places, by a sorted table of cells."""

    def __init__(self, cities: Iterable[City]) -> None:
        """Raises `EmptyCity` and `OverlappingCities`."""
        self.replace(cities)

    def replace(self, cities: Iterable[City]) -> None:
        """Answers for these cities from now on. Raises like the constructor; nothing has changed then."""
        before = getattr(self, "cities", ())
        self.cities: tuple[City, ...] = tuple(cities)
        try:
            self._build()
        except BadCity:
            self.cities = before
            raise

    def _build(self) -> None:
        owners = np.repeat(np.arange(len(self.cities)), [len(city.cells) for city in self.cities])
        cells = np.concatenate([city.cells for city in self.cities] or [np.zeros(0, np.uint64)])
        self._refuse_overlaps(cells, owners)
        keys = keys_of_cells(cells.tolist())
        order = np.argsort(keys)
        # A key above all others ends the table, so that a search never runs off it.
        self._keys = np.append(keys[order], np.iinfo(np.int64).max)
        self._owners = np.append(owners[order], NO_CITY).astype(np.int32)

    def find(self, lat_e7: E7, lng_e7: E7) -> NDArray[np.int32]:
        """Index in `cities` of each of n places, or `NO_CITY`; shape (n,)."""
        keys = cell_keys(lat_e7, lng_e7)
        at = np.searchsorted(self._keys, keys)
        return np.where(self._keys[at] == keys, self._owners[at], np.int32(NO_CITY))

    def _refuse_overlaps(self, cells: NDArray[np.uint64], owners: NDArray[np.intp]) -> None:
        order = np.argsort(cells, kind="stable")
        twice = np.flatnonzero(np.diff(cells[order]) == 0)
        if len(twice) == 0:
            return
        first, second = owners[order[twice[0]]], owners[order[twice[0] + 1]]
        one, other = self.cities[first], self.cities[second]
        raise OverlappingCities(one.slug, other.slug, np.intersect1d(one.cells, other.cells).tolist())


def load_cities() -> tuple[City, ...]:
    """The cities that ship, in the order of their partitions."""
    return parse_cities(files("shard_router.cities").joinpath("cities.geojson").read_text(encoding="utf-8"))


def parse_cities(text: str) -> tuple[City, ...]:
    """Cities of a GeoJSON FeatureCollection. Raises `BadCity`, which names the city at fault."""
    cities = tuple(parse_city(feature) for feature in json.loads(text)["features"])
    slugs = [city.slug for city in cities]
    for slug in slugs:
        if slugs.count(slug) > 1:
            raise BadCity(slug, "named twice")
    return cities


def parse_city(document: Any) -> City:
    """A city of a GeoJSON feature. Raises `BadCity`, naming every fault."""
    feature = city_feature(document)
    properties = feature.properties
    lng, lat = properties.center
    city = City(
        slug=properties.city,
        name=properties.name,
        country=properties.country,
        time_zone=properties.time_zone,
        currency=properties.currency,
        center_e7=(round(lat * 1e7), round(lng * 1e7)),
        polygon=_polygon(properties.city, feature.geometry.model_dump()),
    )
    if problem := problem_of(city.polygon):
        raise BadCity(city.slug, f"geometry: {problem}")
    return city


def _polygon(slug: str, geometry: dict[str, Any]) -> Polygon:
    try:
        return polygon_of(geometry)
    except ValueError as error:
        raise BadCity(slug, f"geometry: {error}") from error
