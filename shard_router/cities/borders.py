"""Check a published border and lay it over the catalogue, while everything runs.

    forno cities publish FILE ─> checked against all others ─> router.borders (a new version) ─> the map's version
                                                                                                     │ followed by
                      orders: is this place in the city?   gateway: /v1/cities   dispatch: neighbours <┘  everybody

A version is the border of one city; old ones are kept. A change moves nobody: riders keep the home city of their token,
orders stay with the city that took them; the new border decides for orders placed from now on. Two neighbours that
exchange ground are changed one after the other, the loser first: between the two the ground is nobody's, and never
that of both.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from proto.shard_router.v1 import borders_pb2 as pb
from shard_router.cities.catalogue import City, CityLookup, parse_city
from shard_router.cities.document import MAX_MESSAGE_BYTES, BadCity, unused_properties
from shard_router.cities.polygons import parts_without_cells, polygon_of

if TYPE_CHECKING:
    from proto.shard_router.v1.borders_pb2_grpc import CityBordersAsyncStub

#: Deadline of one page, wall seconds.
_ANSWER_S = 10.0
#: A border of `MAX_POINTS` goes through; see `shard_router.cities.document`.
CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
)


@dataclass(frozen=True, slots=True)
class Border:
    """A published border. `version` grows over all cities."""

    version: int
    city: str
    feature: Mapping[str, Any]
    actor: str
    published_ms: int


@dataclass(frozen=True, slots=True)
class Change:
    """Effect of a border: cells of the city then, those it wins, those it loses.

    `feature` is what is stored; `warnings` name what is given but has no effect.
    """

    city: str
    cells: int
    won: int
    lost: int
    feature: Mapping[str, Any]
    warnings: Sequence[str]


def overlaid(cities: Sequence[City], borders: Iterable[Border]) -> tuple[City, ...]:
    """The cities with published borders, oldest first, put in. Order and number stay; those of others are left out.

    Only the geometry counts: name, time zone, currency and centre are those of `cities`.
    """
    by_slug = {city.slug: city for city in cities}
    for border in borders:
        if border.city in by_slug:
            by_slug[border.city] = replace(by_slug[border.city], polygon=polygon_of(border.feature["geometry"]))
    return tuple(by_slug.values())


def checked(cities: Sequence[City], document: Any) -> Change:
    """Check a border and compute its effect. Raises `BadCity` if it is none, no known city's, or overlaps another."""
    city = parse_city(document)
    known = {other.slug: other for other in cities}.get(city.slug)
    if known is None:
        raise BadCity(
            city.slug, "properties.city: is not in the catalogue; only borders of known cities can be changed"
        )
    _check_same_city(city, known)
    CityLookup([city if other.slug == city.slug else other for other in cities])
    won, lost = np.setdiff1d(city.cells, known.cells), np.setdiff1d(known.cells, city.cells)
    warnings = [f"{path}: has no use here and is not stored" for path in unused_properties(document)]
    warnings += [f"{part}: the part is too small to hold a cell" for part in parts_without_cells(city.polygon)]
    return Change(city.slug, len(city.cells), len(won), len(lost), city.feature(), warnings)


def _check_same_city(city: City, known: City) -> None:
    """A border changes the geometry and nothing else. Raises `BadCity`, naming every property that differs."""
    lat_e7, lng_e7 = city.center_e7
    given, of_map = city.properties(), known.properties()
    differs = [
        f"properties.{name}: the city has the {name.replace('_', ' ')} {of_map[name]}; a border cannot change it"
        for name in of_map
        if given[name] != of_map[name]
    ]
    if differs:
        raise BadCity(city.slug, "; ".join(differs))
    if not city.polygon.covers(shapely.Point(lng_e7 / 1e7, lat_e7 / 1e7)):
        raise BadCity(city.slug, f"its centre {lat_e7 / 1e7:.5f}, {lng_e7 / 1e7:.5f} lies outside of the border")


def border_value(message: pb.Border) -> Border:
    """A border of the wire."""
    feature = json.loads(message.feature_json) if message.feature_json else {}
    return Border(message.version, message.city, feature, message.actor, message.published_ms)


async def read_borders(stub: CityBordersAsyncStub, request: pb.GetBordersRequest) -> list[Border]:
    """All borders that a request asks for, page by page. Raises `AioRpcError`."""
    borders: list[Border] = []
    while True:
        page = await stub.GetBorders(request, timeout=_ANSWER_S)
        borders += map(border_value, page.borders)
        if not page.more:
            return borders
        request.after_version = page.borders[-1].version
