"""Borders that change while everything runs.

    forno cities publish FILE ─> checked against all others ─> router.borders (a new version) ─> the map's version
                                                                                                     │ followed by
                      orders: is this place in the city?   gateway: /v1/cities   dispatch: neighbours <┘  everybody

A version is the border of one city; old ones are kept. A change moves nobody: riders keep the home city of their token,
orders stay with the city that took them; the new border decides for orders placed from now on. Two neighbours that
exchange ground are changed one after the other, the loser first: between the two the ground is nobody's, and never
that of both.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
import numpy as np
import shapely
import structlog

from proto.shard_router.v1 import borders_pb2 as pb
from proto.shard_router.v1.borders_pb2_grpc import CityBordersStub
from shard_router.cities import BadCity, City, CityLookup, load_cities, parse_city
from shard_router.client import Directory

#: Borders are asked for this often even if the map says nothing, wall seconds.
_LOOK_EVERY_S = 30.0
_PAUSE_S = 0.5
_ANSWER_S = 5.0


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
    """What a border would change: cells of the city then, those it wins, those it loses."""

    city: str
    cells: int
    won: int
    lost: int


def overlaid(cities: Sequence[City], borders: Iterable[Border]) -> tuple[City, ...]:
    """The cities with published borders, oldest first, put in. Order and number stay; those of others are left out."""
    by_slug = {city.slug: city for city in cities}
    for border in borders:
        if border.city in by_slug:
            by_slug[border.city] = parse_city(border.feature)
    return tuple(by_slug.values())


def checked(cities: Sequence[City], feature: Mapping[str, Any]) -> Change:
    """What the feature would change. Raises `BadCity` if it is no border, no known city's, or overlaps another."""
    city = parse_city(feature)
    before = {known.slug: known for known in cities}
    if city.slug not in before:
        raise BadCity(city.slug, "is not in the catalogue: only borders of known cities can be changed")
    known = before[city.slug]
    if city.currency != known.currency:
        raise BadCity(city.slug, f"has the currency {known.currency}; a border cannot change it")
    lat_e7, lng_e7 = city.center_e7
    if not city.polygon.covers(shapely.Point(lng_e7 / 1e7, lat_e7 / 1e7)):
        raise BadCity(city.slug, f"its centre {lat_e7 / 1e7:.5f}, {lng_e7 / 1e7:.5f} lies outside of the border")
    CityLookup([city if other.slug == city.slug else other for other in cities])
    won = len(np.setdiff1d(city.cells, known.cells))
    return Change(city.slug, len(city.cells), won, len(np.setdiff1d(known.cells, city.cells)))


def border_value(message: pb.Border) -> Border:
    """A border of the wire."""
    return Border(message.version, message.city, json.loads(message.feature_json), message.actor, message.published_ms)


class BorderFollower:
    """Tells a service the cities as they are now, and again with each change, for as long as `run` runs."""

    def __init__(
        self,
        router_address: str,
        directory: Directory,
        changed: Callable[[tuple[City, ...]], None],
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._channel = grpc.aio.insecure_channel(router_address)
        self._borders = CityBordersStub(self._channel)
        self._directory = directory
        self._changed = changed
        self._log = log
        self._cities = load_cities()
        #: The newest border that is known.
        self.version = 0

    async def run(self) -> None:
        """Follows until cancelled. While the router is away the last borders hold."""
        while True:
            seen = self._directory.map.version
            try:
                await self.look()
            except grpc.aio.AioRpcError as error:
                self._log.warning("borders not heard; the last ones hold", error=error.details())
                await asyncio.sleep(_PAUSE_S)
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY_S):
                    await self._directory.changed(seen)

    async def look(self) -> None:
        """Asks once. Raises `AioRpcError`."""
        request = pb.GetBordersRequest(after_version=self.version)
        answer = await self._borders.GetBorders(request, timeout=_ANSWER_S)
        if not answer.borders:
            return
        borders = [border_value(message) for message in answer.borders]
        self._cities = await asyncio.to_thread(_compiled, self._cities, borders)
        self.version = borders[-1].version
        self._log.info("borders changed", cities=sorted({border.city for border in borders}), version=self.version)
        self._changed(self._cities)

    async def close(self) -> None:
        """Lets go of the connection."""
        await self._channel.close()


def _compiled(cities: Sequence[City], borders: Sequence[Border]) -> tuple[City, ...]:
    """In a thread: turning a polygon into cells takes a moment."""
    after = overlaid(cities, borders)
    for city in after:
        len(city.cells)
    return after
