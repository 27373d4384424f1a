"""Choose where idle riders wait, by a linear assignment of riders to waiting places.

The j-th place at a restaurant is worth the chance that it gets j orders soon, times what a rider at the counter saves:

    value(k, j) = P(N_k >= j) * worth_s,   N_k Poisson with the demand expected at k

and costs the way there. A rider that stands at a counter already gets the place for nothing; whom no place is worth the
way stays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.special import pdtrc

from dispatch.engine.matching.problem import Floats, Ints
from dispatch.engine.model import RestaurantId, RiderId
from dispatch.engine.params import PrepositioningParams
from dispatch.engine.ports import Points, TravelTimes
from dispatch.engine.prepositioning.demand import Demand

PLACES = 4
"""At one restaurant, at most."""


@dataclass(frozen=True, slots=True)
class IdleMove:
    """A rider with nothing to do is sent to a restaurant, to be there in `way_s`."""

    rider_id: RiderId
    restaurant_id: RestaurantId
    way_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Idle:
    """Riders with nothing to do: where each stands, and the seconds left of its shift."""

    ids: tuple[RiderId, ...]
    places: Points
    left_s: Floats


def idle_moves(
    idle: Idle, demand: Demand, now_ms: int, travel: TravelTimes, params: PrepositioningParams
) -> tuple[IdleMove, ...]:
    """Waiting places by rider; riders who should stay are left out."""
    restaurants, counters, expected = demand.expected(params.ahead_s, now_ms)
    if not idle.ids or not restaurants:
        return ()
    restaurant, value_s = _places(expected, params.worth_s)
    way_s = travel.matrix(idle.places, counters, now_ms)
    gain_s = value_s[None, :] - way_s[:, restaurant]
    gain_s[(way_s > params.max_way_s)[:, restaurant] | (way_s >= idle.left_s[:, None])[:, restaurant]] = -1.0
    rider, place = linear_sum_assignment(np.maximum(gain_s, 0.0), maximize=True)
    return tuple(
        IdleMove(idle.ids[r], restaurants[restaurant[p]], float(way_s[r, restaurant[p]]))
        for r, p in zip(rider.tolist(), place.tolist(), strict=True)
        if gain_s[r, p] > params.least_gain_s and way_s[r, restaurant[p]] > 0
    )


def _places(expected: Floats, worth_s: float) -> tuple[Ints, Floats]:
    """The waiting places worth anything: restaurant row and value of each."""
    nth = np.arange(PLACES)
    value_s = pdtrc(nth[None, :], np.maximum(expected, 1e-9)[:, None]) * worth_s  # P(N > j), j from 0.
    restaurant, place = np.nonzero(value_s > 1.0)
    return restaurant.astype(np.int64), value_s[restaurant, place]
