"""Columns of the set-packing model: every trip a rider could make with single orders, bundles, orders on one way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dispatch.engine.matching.bundles import POOL, bundles_of
from dispatch.engine.matching.cost import Routes, terms, weighted
from dispatch.engine.matching.pairs import expand_restaurants
from dispatch.engine.matching.problem import CandidateEdges, Floats, Ints, Problem
from dispatch.engine.matching.rules import allowed, held, in_time
from dispatch.engine.params import EngineParams


@dataclass(frozen=True, slots=True, eq=False)
class SetPackingColumns:
    """n feasible trips: `orders` (n, m) in drop order, padded with -1; `size` (n,) how many; `link` (n,) the row of
    `Problem.links`, or -1."""

    rider: Ints
    orders: Ints
    size: Ints
    link: Ints
    cost: Floats


def columns_of(problem: Problem, params: EngineParams, busy_price: float, pool: int = POOL) -> SetPackingColumns:
    """All feasible trips; `busy_price` is added to the cost of a rider's second. At each restaurant the `pool` orders
    that are ready first are combined."""
    restaurant, links = problem.orders.restaurant, problem.links
    singles = Routes(np.arange(len(problem.orders.ids))[:, None], problem.orders.direct_s[:, None])
    width = max(params.bundles.max_orders, links.orders.shape[1] if len(links.orders) else 1)
    made = [_priced(problem, problem.edges, params, singles, restaurant, busy_price, width)]
    if params.bundles.max_orders > 1:
        edges = soonest(problem, params.candidates.per_bundle)
        for routes in bundles_of(problem, params.bundles, params.service.dropoff_s, pool):
            start = restaurant[routes.orders[:, 0]]
            made.append(_priced(problem, edges, params, routes, start, busy_price, width))
        if len(links.orders):
            first = (restaurant[links.orders] != links.counters[:, :1]).astype(np.int64)
            routes = Routes(links.orders, links.ways_s, first, links.hop_s)
            # A rider bound for a counter is not sent to a second one: its route is on its screen.
            edges = _unbound(problem, edges)
            made.append(_priced(problem, edges, params, routes, links.counters[:, 0], busy_price, width, linked=True))
    return SetPackingColumns(
        np.concatenate([c.rider for c in made]),
        np.concatenate([c.orders for c in made]),
        np.concatenate([c.size for c in made]),
        np.concatenate([c.link for c in made]),
        np.concatenate([c.cost for c in made]),
    )


def soonest(problem: Problem, count: int) -> CandidateEdges:
    """The edges of the `count` riders who can be at each restaurant first, and of those bound for it."""
    edges, riders = problem.edges, problem.riders
    there_s = riders.free_s[edges.rider] + edges.approach_s * riders.pace[edges.rider]
    there_s = np.where(riders.heading[edges.rider] >= 0, -np.inf, there_s)
    order = np.lexsort((edges.rider, there_s, edges.restaurant))
    first = np.searchsorted(edges.restaurant, edges.restaurant)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - first[order]
    keep = (rank < count) | np.isneginf(there_s)
    return CandidateEdges(edges.rider[keep], edges.restaurant[keep], edges.approach_s[keep])


def _unbound(problem: Problem, edges: CandidateEdges) -> CandidateEdges:
    keep = problem.riders.heading[edges.rider] < 0
    return CandidateEdges(edges.rider[keep], edges.restaurant[keep], edges.approach_s[keep])


def _priced(
    problem: Problem,
    edges: CandidateEdges,
    params: EngineParams,
    routes: Routes,
    start: Ints,
    busy_price: float,
    width: int,
    linked: bool = False,
) -> SetPackingColumns:
    """Every rider near the restaurant `start` (n,) of each route, on that route."""
    edge, index = expand_restaurants(edges, len(problem.restaurant_ids), start)
    keep = allowed(problem, edges.rider[edge], routes.take(index))
    edge, index = edge[keep], index[keep]
    rider, taken = edges.rider[edge], routes.take(index)
    found, trip = terms(problem, params.service, params.cost, rider, edges.approach_s[edge], taken)
    feasible = in_time(problem, rider, trip, held(problem, rider, taken.orders))
    cost = weighted(found, params.cost, busy_price)
    n, size = int(feasible.sum()), taken.orders.shape[1]
    padded = np.full((n, width), -1)
    padded[:, :size] = taken.orders[feasible]
    link = index[feasible] if linked else np.full(n, -1)
    return SetPackingColumns(rider[feasible], padded, np.full(n, size), link, cost[feasible])
