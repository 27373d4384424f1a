"""Routes of the simulator's riders: along the roads, second by second."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.travel.network import ROAD_CLASSES, RoadNetwork
from dispatch.engine.travel.paths import shortest_paths
from dispatch.engine.travel.road import SAME_BLOCK_M, RoadParams
from dispatch.engine.travel.snap import Snapper
from node.geodesy import points
from shard_router.cities.catalogue import City, CityLookup
from simulator.city.model import Place
from simulator.city.motion import Trip, straight

_STREETS: Final = [ROAD_CLASSES.index(name) for name in ("secondary", "tertiary", "residential", "living_street")]


class RoadWays:
    """Quickest ways by road: straight to the nearest junction, along the arcs, straight to the end."""

    def __init__(self, network: RoadNetwork, params: RoadParams | None = None) -> None:
        self._params = params or RoadParams()
        self._network = network
        arc_ms = self._params.arc_ms(network)
        self._arc_mps = network.arc_length_m / (arc_ms / 1000)
        self._paths = shortest_paths(network, arc_ms)
        self._snapper = Snapper(network)
        self._node_e7 = np.stack([network.node_lat_e7, network.node_lng_e7], axis=1)
        self._shape = np.stack([network.shape_lat_e7, network.shape_lng_e7], axis=1)

    def trip(self, start: Place, end: Place) -> Trip:
        """The way from `start` to `end`, both inclusive, with the time at every bend."""
        ends = points([start, end])
        if start.distance_m(end) <= SAME_BLOCK_M:
            return straight((start, end), self._params.off_road_mps)
        nodes, _ = self._snapper.nearest(ends)
        arcs = self._paths.arcs(int(nodes[0]), int(nodes[1]))
        shapes: list[NDArray[np.integer]] = [self._shape_of(arc) for arc in arcs]
        places = np.concatenate([ends[:1], self._node_e7[nodes[:1]], *shapes, ends[1:]])
        # A leg leads to each place but the first: to the junction, along each arc, to the end.
        legs = [1, *(len(shape) for shape in shapes)]
        off_road = self._params.off_road_mps
        mps = np.append(np.repeat([off_road, *self._arc_mps[arcs]], legs), off_road)
        return self._timed(places, mps)

    def _shape_of(self, arc: int) -> NDArray[np.int32]:
        return self._shape[self._network.shape_start[arc] : self._network.shape_start[arc + 1]]

    def _timed(self, places: NDArray[np.int64], leg_mps: NDArray[np.float64]) -> Trip:
        """The trip through places, each once where arcs meet; `leg_mps[i]` leads to place i + 1."""
        apart = self._snapper.plane_m(np.diff(places, axis=0))
        leg_s = np.hypot(apart[:, 0], apart[:, 1]) / leg_mps
        moves = np.append(True, leg_s > 0)
        at_s = np.append(0.0, np.cumsum(leg_s))[moves]
        passed = tuple(Place(lat, lng) for lat, lng in places[moves].tolist())
        return Trip(passed, tuple(at_s.tolist()))


def places_in(network: RoadNetwork, city: City) -> list[Place]:
    """Places on the streets in a city's territory where its people may live and eat: on no trunk road or motorway."""
    inside = CityLookup([city]).find(network.node_lat_e7, network.node_lng_e7) == 0
    street = np.zeros(network.node_count, np.bool_)
    street[network.arc_from[np.isin(network.arc_class, _STREETS)]] = True
    inside &= street
    places = zip(network.node_lat_e7[inside].tolist(), network.node_lng_e7[inside].tolist(), strict=True)
    return [Place(lat, lng) for lat, lng in places]
