"""All feasible (rider, order) pairs of a problem with their costs: the base of every strategy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dispatch.engine.matching.cost import Routes, Terms, terms, weighted
from dispatch.engine.matching.problem import CandidateEdges, Floats, Ints, Problem
from dispatch.engine.matching.rules import allowed, held, in_time
from dispatch.engine.params import EngineParams


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Feasible pairs, sorted by order, then rider. `cost` is the weighted sum of the terms of a one-order trip."""

    rider: Ints
    order: Ints
    approach_s: Floats
    cost: Floats
    terms: Terms


def expand_restaurants(edges: CandidateEdges, restaurants: int, restaurant: Ints) -> tuple[Ints, Ints]:
    """Edges of each restaurant row given: (edge, index into `restaurant`), in that order.

    `restaurants` is how many rows there are in all.
    """
    first = np.searchsorted(edges.restaurant, np.arange(restaurants))
    per_row = np.bincount(edges.restaurant, minlength=restaurants)[restaurant]
    index = np.repeat(np.arange(len(restaurant)), per_row)
    within = np.arange(per_row.sum()) - np.repeat(np.cumsum(per_row) - per_row, per_row)
    return first[restaurant][index] + within, index


def feasible_pairs(
    problem: Problem, params: EngineParams, orders: Ints | None = None, busy_price: float = 0.0
) -> Pairs:
    """Every pair that breaks no rule, of these order rows (default: all), which rise.

    `busy_price` is added to the cost of a rider's second. An order accepted stays possible for its rider, whatever has
    come up since.
    """
    asked = np.arange(len(problem.orders.ids)) if orders is None else orders
    edge, index = expand_restaurants(problem.edges, len(problem.restaurant_ids), problem.orders.restaurant[asked])
    rider, order, approach_s = problem.edges.rider[edge], asked[index], problem.edges.approach_s[edge]
    keep = allowed(problem, rider, _alone(problem, order))
    rider, order, approach_s = rider[keep], order[keep], approach_s[keep]
    found, trip = terms(problem, params.service, params.cost, rider, approach_s, _alone(problem, order))
    keep = in_time(problem, rider, trip, held(problem, rider, order[:, None]))
    cost = weighted(found, params.cost, busy_price)[keep]
    return Pairs(rider[keep], order[keep], approach_s[keep], cost, tuple(term[keep] for term in found))


def _alone(problem: Problem, order: Ints) -> Routes:
    return Routes(order[:, None], problem.orders.direct_s[order][:, None])
