"""From a place to the nearest junction of a road network."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from dispatch.engine.ports import Points
from dispatch.engine.travel.free_flow import EARTH_RADIUS_M
from dispatch.engine.travel.network import RoadNetwork


class Snapper:
    """Nearest nodes on the plane that touches the network's middle latitude: good to 1 % over 100 km."""

    def __init__(self, network: RoadNetwork) -> None:
        self._metre_lat = np.radians(1e-7) * EARTH_RADIUS_M
        middle = np.radians(float(np.mean(network.node_lat_e7)) * 1e-7)
        self._metre_lng = self._metre_lat * np.cos(middle)
        self._tree = cKDTree(self.plane_m(np.stack([network.node_lat_e7, network.node_lng_e7], axis=1)))

    def plane_m(self, points: NDArray[np.integer]) -> NDArray[np.float64]:
        """Metres north and east on the plane; shapes (..., 2) of lat_e7, lng_e7."""
        return np.asarray(points * np.array([self._metre_lat, self._metre_lng]))

    def nearest(self, points: Points) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Node of each of n points and the metres to it, straight."""
        metres, nodes = self._tree.query(self.plane_m(points))
        return np.asarray(nodes), np.asarray(metres)
