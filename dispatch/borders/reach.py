"""Find neighbouring cities, and what of one lies within reach of another. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray

from dispatch.borders.borrow_choice import SharedView
from dispatch.engine.inputs import Positions
from shard_router.cities.catalogue import City
from shard_router.cities.polygons import around_the_globe

#: Cities this near to each other are neighbours, degrees: some 500 m.
_APART_DEG: Final = 0.005
#: So far beyond its border a city looks for riders, degrees: some 5 km, a quarter of an hour's ride.
REACH_DEG: Final = 0.045


class NeighbourReach:
    """Neighbours of each city by the borders of now."""

    def __init__(self, cities: Iterable[City]) -> None:
        polygons = {city.slug: city.polygon for city in cities}
        self._reach = {
            slug: around_the_globe(shapely.buffer(polygon, REACH_DEG, quad_segs=2))
            for slug, polygon in polygons.items()
        }
        self._neighbours = {
            slug: tuple(sorted(o for o, other in polygons.items() if o != slug and _touch(polygon, other)))
            for slug, polygon in polygons.items()
        }

    def neighbours(self, city: str) -> tuple[str, ...]:
        """The cities next to a city; none for one that is not in the catalogue."""
        return self._neighbours.get(city, ())

    def within_reach(self, borrower: str, view: SharedView) -> SharedView:
        """The part of a city that its neighbour may see: counters and riders within reach of the neighbour."""
        if borrower not in self._reach:
            return SharedView((), (), Positions.none())
        pickups = [(order.pickup.lat_e7, order.pickup.lng_e7) for order in view.orders]
        places = np.array(pickups, np.int64).reshape(-1, 2)
        near_orders = self._contains(borrower, places[:, 0], places[:, 1]).tolist()
        seen = view.positions
        near = self._contains(borrower, seen.lat_e7, seen.lng_e7)
        riders = set(seen.rider_ids[near].tolist())
        positions = Positions(seen.rider_ids[near], seen.lat_e7[near], seen.lng_e7[near], seen.age_ms[near])
        return replace(
            view,
            orders=tuple(order for order, keep in zip(view.orders, near_orders, strict=True) if keep),
            riders=tuple(rider for rider in view.riders if rider.rider_id in riders),
            positions=positions,
        )

    def _contains(self, borrower: str, lat_e7: NDArray[np.integer], lng_e7: NDArray[np.integer]) -> NDArray[np.bool_]:
        inside: NDArray[np.bool_] = shapely.contains_xy(self._reach[borrower], lng_e7 / 1e7, lat_e7 / 1e7)
        return inside


def _touch(polygon: shapely.Geometry, other: shapely.Geometry) -> bool:
    return bool(shapely.dwithin(around_the_globe(polygon), other, _APART_DEG))
