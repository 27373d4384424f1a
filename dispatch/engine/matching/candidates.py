"""Find riders near restaurants, for thousands at once.

A k-d tree over the riders on a flat map around them: longitudes are shrunk by the cosine of the mean
latitude, which over a city 50 km wide misplaces a distance by less than 1%. Good enough to choose
candidates; travel times decide among them.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from dispatch.engine.matching.problem import Ints
from dispatch.engine.ports import Points
from node.geodesy import lng_scales


def nearest_riders(riders: Points, restaurants: Points, k: int) -> tuple[Ints, Ints]:
    """Rows (rider, restaurant) of the k riders nearest to each restaurant; all of them if fewer."""
    none = np.zeros(0, np.int64)
    if len(riders) == 0 or len(restaurants) == 0:
        return none, none
    k = min(k, len(riders))
    restaurant = np.repeat(np.arange(len(restaurants)), k)
    if k == len(riders):
        return np.tile(np.arange(k), len(restaurants)), restaurant
    shrink = np.array([1.0, lng_scales(restaurants[:, 0].mean())])
    _, rider = cKDTree(riders * shrink).query(restaurants * shrink, k=k)
    return np.asarray(rider, np.int64).reshape(-1), restaurant
