"""All feasible (rider, order) pairs of a problem with their costs: the base of every strategy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dispatch.matching.cost import terms, weights
from dispatch.matching.problem import Edges, Floats, Ints, Problem
from dispatch.params import EngineParams


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Feasible pairs, sorted by order, then rider. `cost` is the weighted sum of a one-order trip."""

    rider: Ints
    order: Ints
    approach_s: Floats
    cost: Floats


def expand_restaurants(edges: Edges, restaurants: int, restaurant: Ints) -> tuple[Ints, Ints]:
    """For each restaurant row given, its edges: (edge, index into `restaurant`), in that order.

    `restaurants` is how many rows there are in all.
    """
    first = np.searchsorted(edges.restaurant, np.arange(restaurants))
    per_row = np.bincount(edges.restaurant, minlength=restaurants)[restaurant]
    index = np.repeat(np.arange(len(restaurant)), per_row)
    within = np.arange(per_row.sum()) - np.repeat(np.cumsum(per_row) - per_row, per_row)
    return first[restaurant][index] + within, index


def feasible_pairs(problem: Problem, params: EngineParams) -> Pairs:
    """Every pair that breaks no rule: capacity, shift end at pickup, cooldowns.

    An order accepted stays possible for its rider, whatever has come up since.
    """
    edge, order = expand_restaurants(problem.edges, len(problem.restaurant_ids), problem.orders.restaurant)
    rider, approach_s = problem.edges.rider[edge], problem.edges.approach_s[edge]
    keep = problem.orders.size[order] <= problem.riders.room[rider]
    keep &= ~barred_mask(problem, rider, order)
    keep |= problem.orders.holder[order] == rider
    rider, order, approach_s = rider[keep], order[keep], approach_s[keep]
    ways_s = problem.orders.direct_s[order][:, None]
    columns, trip = terms(problem, params.service, rider, approach_s, order[:, None], ways_s)
    on_shift = (trip.pickup_s <= problem.riders.shift_end_s[rider]) & np.isfinite(trip.end_s)
    on_shift |= problem.orders.holder[order] == rider
    cost = columns @ weights(params.cost)
    return Pairs(rider[on_shift], order[on_shift], approach_s[on_shift], cost[on_shift])


def barred_mask(problem: Problem, rider: Ints, order: Ints) -> NDArray[np.bool_]:
    """True where the pair (rider, order) is on cooldown."""
    if len(problem.barred) == 0:
        return np.zeros(len(rider), np.bool_)
    width = len(problem.orders.ids)
    return np.isin(rider * width + order, problem.barred[:, 0] * width + problem.barred[:, 1])
