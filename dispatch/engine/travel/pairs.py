"""Sparse travel times: many origin-destination pairs, whatever the model offers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.ports import PairwiseTravelTimes, Points, Seconds, TravelTimes


def pair_seconds(travel: TravelTimes, origins: Points, destinations: Points, at_ms: int) -> Seconds:
    """Seconds from `origins[i]` to `destinations[i]`, shape (n,).

    A model without `pairs` is asked one column a distinct destination, for its own origins only.
    """
    if len(origins) == 0:
        return np.zeros(0)
    if isinstance(travel, PairwiseTravelTimes):
        return travel.pairs(origins, destinations, at_ms)
    out = np.empty(len(origins))
    places, place = np.unique(destinations, axis=0, return_inverse=True)
    by_place: NDArray[np.int64] = np.argsort(place, kind="stable")
    ends = np.cumsum(np.bincount(place, minlength=len(places)))
    for i, rows in enumerate(np.split(by_place, ends[:-1])):
        out[rows] = travel.matrix(origins[rows], places[i : i + 1], at_ms)[:, 0]
    return out
