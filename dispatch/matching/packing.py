"""Trips, bundles among them, so that every order is in one and every rider makes one: set packing.

    min   sum of the costs of chosen trips + sum of the costs of orders put off
    s.t.  every order is in exactly one chosen trip, or put off to a later wave
          every rider makes at most one trip; a rider on its way exactly one
          a wave takes no more orders than the riders on shift by then have room for

First the best matching of single orders, with its prices. If no bundle is cheaper than the prices say, that
matching is the optimum over bundles too, and most ticks end here. Else CP-SAT solves the packing over the
columns that could matter: those whose cost is less than `REACH_S` above the prices, and that hang together
with such a bundle over shared orders and riders; elsewhere the matching stands.

Orders put off (`dispatch.matching.waves`) are what a planner with one trip a rider must not forget.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from dispatch.matching.across import sum_of
from dispatch.matching.assignment import match, prices
from dispatch.matching.columns import Columns, columns_of
from dispatch.matching.cover import cover
from dispatch.matching.problem import Assigned, Floats, Ints, Problem, Solution
from dispatch.matching.waves import waves
from dispatch.params import EngineParams

REACH_S = 900.0
MAX_COLUMNS = 2500
"""Columns given to CP-SAT at most, those nearest to the prices; they bound its time where the work limit is slow."""
NAME = "packing"


def pack(problem: Problem, params: EngineParams) -> Solution:
    """The optimum, or the best found within the work limit."""
    n, m = len(problem.orders.ids), len(problem.riders.ids)
    if n == 0 or m == 0:
        return Solution((), "empty", 0, 0.0, NAME)
    later = waves(problem, params)
    columns = columns_of(problem, params, params.cost.pressure * max(0.0, n / m - params.cost.relaxed))
    first = _Singles(problem, columns, later.cost[0] if later.room[0] else later.cost[-1])
    crowded = len(first.put_off) > later.room[0]
    if not crowded and not first.improving.any():
        return _solution(columns, first.chosen, "matched", len(columns.rider), first.cost)
    if crowded:
        # Only the last wave that is needed has room left, so it sets the price of an order.
        last = int(np.searchsorted(np.cumsum(later.room), len(first.put_off)))
        first = _Singles(problem, columns, later.cost[last])
        open_ = first.nearest()
    else:
        open_ = _touched(problem, columns, first)
    answer = cover(problem, columns, open_, later, np.isin(open_, first.chosen), params.solver)
    if answer is None:
        return _solution(columns, first.chosen, "matched, bundles unsolved", len(columns.rider), first.cost)
    fixed = np.setdiff1d(first.chosen, open_)
    apart = np.setdiff1d(first.put_off, columns.orders[open_])
    cost = answer.cost + float(columns.cost[fixed].sum() + first.open_cost[apart].sum())
    return _solution(columns, np.concatenate([fixed, open_[answer.chosen]]), answer.status, answer.work, cost)


class _Singles:
    """The best matching of single orders, and which columns it makes interesting.

    `over` is how much more a column costs than the prices of its orders allow, its rider's worth included.
    """

    def __init__(self, problem: Problem, columns: Columns, open_cost: Floats) -> None:
        single = np.flatnonzero(columns.size == 1)
        rider, order, cost = columns.rider[single], columns.orders[single, 0], columns.cost[single]
        matched = match(problem, rider, order, cost, open_cost)
        price, worth = prices(matched, rider, order, cost, open_cost, len(problem.riders.ids))
        self.open_cost = open_cost
        self.put_off = np.flatnonzero(matched.pair < 0)
        self.chosen: Ints = single[matched.pair[matched.pair >= 0]]
        self.cost = float(columns.cost[self.chosen].sum() + open_cost[self.put_off].sum())
        # One more row, of price zero, for the -1 that pads short trips.
        paid: Floats = sum_of(np.append(price, 0.0)[columns.orders])
        self.over: Floats = columns.cost + worth[columns.rider] - paid
        self.improving = (self.over < -1.0) & (columns.size > 1)

    def nearest(self) -> Ints:
        """Columns within reach of the prices, the matching's own always, `MAX_COLUMNS` at most."""
        over = self.over.copy()
        over[self.chosen] = -np.inf
        near = np.flatnonzero(over <= REACH_S)
        if len(near) > MAX_COLUMNS:
            near = near[np.argsort(over[near], kind="stable")[:MAX_COLUMNS]]
        return np.sort(near)


def _touched(problem: Problem, columns: Columns, first: _Singles) -> Ints:
    """Near columns connected, over shared orders and riders, with a bundle that would improve the matching."""
    n = len(problem.orders.ids)
    near = first.nearest()
    orders = columns.orders[near]
    row, at = np.nonzero(orders >= 0)
    node = n + columns.rider[near]
    graph = coo_array((np.ones(len(row)), (node[row], orders[row, at])), shape=(n + len(problem.riders.ids),) * 2)
    _, component = connected_components(graph, directed=False)
    live = np.unique(component[n + columns.rider[first.improving]])
    return near[np.isin(component[node], live)]


def _solution(columns: Columns, chosen: Ints, status: str, work: int, cost: float) -> Solution:
    chosen = chosen[np.argsort(columns.rider[chosen], kind="stable")]
    picked = (columns.rider, columns.orders, columns.size, columns.link)
    rows = zip(*(column[chosen].tolist() for column in picked), strict=True)
    trips = tuple([Assigned(rider, tuple(orders[:size]), link) for rider, orders, size, link in rows])
    return Solution(trips, status, work, cost, NAME)
