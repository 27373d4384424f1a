"""Every trip a rider could make, as columns for the solver: single orders and bundles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dispatch.matching.bundles import Bundles, bundles_of
from dispatch.matching.cost import terms, weights
from dispatch.matching.pairs import barred_mask, expand_restaurants
from dispatch.matching.problem import Floats, Ints, Problem
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
    all_sizes = [singles, *bundles_of(problem, params.bundles, params.service.dropoff_s)]
    parts = [_priced(problem, params, bundles, busy_price, width) for bundles in all_sizes]
    return Columns(
        np.concatenate([p.rider for p in parts]),
        np.concatenate([p.orders for p in parts]),
        np.concatenate([p.cost for p in parts]),
    )


def _priced(problem: Problem, params: EngineParams, bundles: Bundles, busy_price: float, width: int) -> Columns:
    riders, orders = problem.riders, problem.orders
    edge, index = expand_restaurants(problem, orders.restaurant[bundles.orders[:, 0]])
    rider, approach_s = problem.edges.rider[edge], problem.edges.approach_s[edge]
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
