"""Snap places to the nearest junctions of a road network."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from dispatch.engine.ports import Points
from dispatch.engine.travel.network import RoadNetwork
from node.geodesy import M_PER_E7, lng_scales


class Snapper:
    """Nearest nodes on the plane that touches the network's middle latitude: good to 1 % over 100 km."""

    def __init__(self, network: RoadNetwork) -> None:
        self._scale_m = np.array([M_PER_E7, M_PER_E7 * lng_scales(np.mean(network.node_lat_e7))])
        self._tree = cKDTree(self.plane_m(np.stack([network.node_lat_e7, network.node_lng_e7], axis=1)))

    def plane_m(self, points: NDArray[np.integer]) -> NDArray[np.float64]:
        """Metres north and east on the plane; shapes (..., 2) of lat_e7, lng_e7."""
        return np.asarray(points * self._scale_m)

    def nearest(self, points: Points) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Node of each of n points and the metres to it, straight."""
        metres, nodes = self._tree.query(self.plane_m(points))
        return np.asarray(nodes), np.asarray(metres)
