"""Every trip a rider could make, as columns for the solver: single orders and bundles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dispatch.matching.bundles import Bundles, bundles_of
from dispatch.matching.cost import terms, weights
from dispatch.matching.pairs import barred_mask, expand_restaurants
from dispatch.matching.problem import Edges, Floats, Ints, Problem
from dispatch.params import EngineParams


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """n feasible trips: `orders` (n, m) in drop order, padded with -1."""

    rider: Ints
    orders: Ints
    cost: Floats

    @property
    def size(self) -> Ints:
        """Orders of each trip, (n,)."""
        size: Ints = (self.orders >= 0).sum(axis=1)
        return size


def columns_of(problem: Problem, params: EngineParams, busy_price: float) -> Columns:
    """All feasible trips; `busy_price` is added to the cost of a rider's second."""
    width = params.bundles.max_orders
    singles = Bundles(np.arange(len(problem.orders.ids))[:, None], problem.orders.direct_s[:, None])
    parts = [_priced(problem, problem.edges, params, singles, busy_price, width)]
    if width > 1:
        edges = soonest(problem, params.candidates.per_bundle)
        for bundles in bundles_of(problem, params.bundles, params.service.dropoff_s):
            parts.append(_priced(problem, edges, params, bundles, busy_price, width))  # noqa: PERF401
    return Columns(
        np.concatenate([p.rider for p in parts]),
        np.concatenate([p.orders for p in parts]),
        np.concatenate([p.cost for p in parts]),
    )


def soonest(problem: Problem, count: int) -> Edges:
    """The edges of the `count` riders who can be at each restaurant first, and of those bound for it."""
    edges, riders = problem.edges, problem.riders
    there_s = riders.free_s[edges.rider] + edges.approach_s * riders.pace[edges.rider]
    there_s = np.where(riders.heading[edges.rider] >= 0, -np.inf, there_s)
    order = np.lexsort((edges.rider, there_s, edges.restaurant))
    first = np.searchsorted(edges.restaurant, edges.restaurant)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - first[order]
    keep = (rank < count) | np.isneginf(there_s)
    return Edges(edges.rider[keep], edges.restaurant[keep], edges.approach_s[keep])


def _priced(
    problem: Problem, edges: Edges, params: EngineParams, bundles: Bundles, busy_price: float, width: int
) -> Columns:
    riders, orders = problem.riders, problem.orders
    edge, index = expand_restaurants(edges, len(problem.restaurant_ids), orders.restaurant[bundles.orders[:, 0]])
    rider, approach_s = edges.rider[edge], edges.approach_s[edge]
    rows = bundles.orders[index]
    size = rows.shape[1]
    held = (orders.holder[rows] == rider[:, None]).all(axis=1)
    keep = orders.size[rows].sum(axis=1) <= riders.room[rider]
    for column in range(size):
        keep &= ~barred_mask(problem, rider, rows[:, column])
    keep |= held
    rider, approach_s, rows, index, held = rider[keep], approach_s[keep], rows[keep], index[keep], held[keep]
    columns, trip = terms(problem, params.service, rider, approach_s, rows, bundles.ways_s[index])
    feasible = ((trip.pickup_s <= riders.shift_end_s[rider]) | held) & np.isfinite(trip.end_s)
    cost = columns @ weights(params.cost) + busy_price * (trip.end_s - trip.start_s)
    padded = np.full((int(feasible.sum()), width), -1)
    padded[:, :size] = rows[feasible]
    return Columns(rider[feasible], padded, cost[feasible])
