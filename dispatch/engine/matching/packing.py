"""Trips, bundles among them, so that every order is in one and every rider makes one: set packing.

    min   sum of the costs of chosen trips + sum of the costs of orders put off
    s.t.  every order is in exactly one chosen trip, or put off to a later wave
          every rider makes at most one trip; a rider on its way exactly one
          a wave takes no more orders than the riders on shift by then have room for

First the best matching of single orders, with its prices. If no bundle is cheaper than the prices say, that
matching is the optimum over bundles too, and most ticks end here. Else CP-SAT solves the packing over the
columns that could matter; elsewhere the matching stands. Which could? A packing costs what the matching costs, and
for every column what that is above its prices (`over`):

    cost of a packing  >=  cost of the matching + sum of `over` of its columns

so a better one has a sum below zero: a column that is dearer than the bundles around it are cheap is in none
(`_touched`).

Orders put off (`dispatch.engine.matching.waves`) are what a planner with one trip a rider must not forget.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from dispatch.engine.matching.across import any_of, least, sum_of
from dispatch.engine.matching.assignment import match, prices
from dispatch.engine.matching.packing_columns import SetPackingColumns, columns_of
from dispatch.engine.matching.problem import Assigned, Floats, Ints, Problem, Solution
from dispatch.engine.matching.waves import waves
from dispatch.engine.params import CostParams, EngineParams

REACH_S = 900.0
MAX_COLUMNS = 2500
"""Columns given to CP-SAT at most, those nearest to the prices; they bound its time where the work limit is slow."""
TOUCHED_COLUMNS = 400
COLUMNS_A_BUNDLE = 20
"""Fewer, where few bundles are cheap: those nearest to them."""
NAME = "packing"


def pack(problem: Problem, params: EngineParams) -> Solution:
    """The optimum, or the best found within the work limit."""
    n, m = len(problem.orders.ids), len(problem.riders.ids)
    if n == 0 or m == 0:
        return Solution((), "empty", 0, 0.0, NAME)
    later = waves(problem, params)
    price = busy_price(problem, params.cost)
    columns = columns_of(problem, params, price)
    first = _Singles(problem, columns, later.cost[0] if later.room[0] else later.cost[-1])
    crowded = len(first.put_off) > later.room[0]
    if not crowded and not first.improving.any():
        return _solution(columns, first.chosen, "matched", len(columns.rider), first.cost, price)
    if crowded:
        # Only the last wave that is needed has room left, so it sets the price of an order.
        last = int(np.searchsorted(np.cumsum(later.room), len(first.put_off)))
        first = _Singles(problem, columns, later.cost[last])
        open_ = first.nearest()
    else:
        open_ = _touched(problem, columns, first)
    from dispatch.engine.matching.cover import cover  # CP-SAT is slow to import, and a shard solves in its worker only

    answer = cover(problem, columns, open_, later, np.isin(open_, first.chosen), params.solver)
    if answer is None:
        return _solution(columns, first.chosen, "matched, bundles unsolved", len(columns.rider), first.cost, price)
    fixed = np.setdiff1d(first.chosen, open_)
    apart = np.setdiff1d(first.put_off, columns.orders[open_])
    cost = answer.cost + float(columns.cost[fixed].sum() + first.open_cost[apart].sum())
    chosen = np.concatenate([fixed, open_[answer.chosen]])
    return _solution(columns, chosen, answer.status, answer.work, cost, price)


def busy_price(problem: Problem, cost: CostParams) -> float:
    """Extra price of a second of a rider's time where orders are many."""
    per_rider = len(problem.orders.ids) / max(1, len(problem.riders.ids))
    return min(cost.pressure * max(0.0, per_rider - cost.relaxed), cost.most_pressure)


class _Singles:
    """The best matching of single orders, and which columns it makes interesting.

    `over` is how much more a column costs than the prices of its orders allow, its rider's worth included.
    """

    def __init__(self, problem: Problem, columns: SetPackingColumns, open_cost: Floats) -> None:
        single = np.flatnonzero(columns.size == 1)
        rider, order, cost = columns.rider[single], columns.orders[single, 0], columns.cost[single]
        matched = match(problem, rider, order, cost, open_cost)
        price, worth = prices(matched, rider, order, cost, open_cost, len(problem.riders.ids))
        self.open_cost = open_cost
        self.worth = worth
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


def _touched(problem: Problem, columns: SetPackingColumns, first: _Singles) -> Ints:
    """The columns that could be in a better packing, and what the matching has for their orders and riders.

    With riders on their way, who must get something, prices prove less: there everything within `REACH_S` is near
    that hangs together with a cheap column.
    """
    if (problem.riders.heading >= 0).any():
        near = first.nearest()
        part, parts = _parts(problem, columns, near)
        return near[_gain_s(columns, near, first, part, parts)[part] > 0]
    near = np.arange(len(columns.rider))
    gain_s = np.full(len(near), _gain_s(columns, near, first, np.zeros(len(near), np.int64), 1)[0])
    while True:
        found = _displaced(problem, columns, first, near, gain_s)
        part, parts = _parts(problem, columns, found)
        if len(found) == len(near):
            break
        near, gain_s = found, _gain_s(columns, found, first, part, parts)[part]
    return near


def _displaced(problem: Problem, columns: SetPackingColumns, first: _Singles, near: Ints, gain_s: Floats) -> Ints:
    """The near columns that a cheap one can bring into play.

    A trip displaces the order that the matching gave its rider: any column that holds it may take it on. A trip frees
    the riders that its orders had: what they are worth is lost unless they get another column. Each of these does the
    same in turn. What is spent on the way, the sum of `over`, must not exceed what the part can gain at most. Shortest
    ways from the cheap columns, by Bellman and Ford.
    """
    n, m = len(problem.orders.ids), len(problem.riders.ids)
    order_of, rider_of = np.full(m, n), np.full(n + 1, m)  # Beyond the last: nobody, nothing.
    order_of[columns.rider[first.chosen]] = columns.orders[first.chosen, 0]
    rider_of[columns.orders[first.chosen, 0]] = columns.rider[first.chosen]
    rider_of[:n][np.append(first.worth, 0.0)[rider_of[:n]] <= 0] = m
    cheap = first.over[near] < -1.0
    within = cheap | (first.over[near] <= gain_s)
    near, gain_s, cheap = near[within], gain_s[within], cheap[within]
    rider, orders = columns.rider[near], np.where(columns.orders[near] < 0, n, columns.orders[near])
    over_s, displaces, frees = np.maximum(first.over[near], 0.0), order_of[rider], rider_of[orders]
    displaces[any_of(orders == displaces[:, None])] = n
    frees[frees == rider[:, None]] = m
    to_s, moved = np.where(cheap, 0.0, np.inf), True
    while moved:
        reached = to_s <= gain_s
        order_s, rider_s = np.full(n + 1, np.inf), np.full(m + 1, np.inf)
        np.minimum.at(order_s, displaces[reached], to_s[reached])
        np.minimum.at(rider_s, frees[reached], to_s[reached, None])
        order_s[n], rider_s[m] = np.inf, np.inf
        sooner_s = np.minimum(least(order_s[orders]), rider_s[rider]) + over_s
        moved = bool((sooner_s < to_s).any())
        to_s = np.minimum(to_s, sooner_s)
    most = min(MAX_COLUMNS, TOUCHED_COLUMNS + COLUMNS_A_BUNDLE * int(cheap.sum()))
    nearest = np.argsort(to_s, kind="stable")[:most]
    return _with_chosen(columns, first.chosen, np.sort(near[nearest[to_s[nearest] <= gain_s[nearest]]]))


def _with_chosen(columns: SetPackingColumns, chosen: Ints, found: Ints) -> Ints:
    """The columns found, and those of the matching that share an order or a rider with them."""
    orders = columns.orders[found]
    shares = np.isin(columns.rider[chosen], columns.rider[found])
    shares |= np.isin(columns.orders[chosen, 0], orders[orders >= 0])
    return np.union1d(found, chosen[shares])


def _parts(problem: Problem, columns: SetPackingColumns, near: Ints) -> tuple[Ints, int]:
    """Connected parts of columns, over shared orders and riders: the part of each, and how many there are."""
    n, m = len(problem.orders.ids), len(problem.riders.ids)
    orders = columns.orders[near]
    row, at = np.nonzero(orders >= 0)
    node = n + columns.rider[near]
    graph = coo_array((np.ones(len(row)), (node[row], orders[row, at])), shape=(n + m, n + m))
    parts, component = connected_components(graph, directed=False)
    return component[node].astype(np.int64), int(parts)


def _gain_s(columns: SetPackingColumns, near: Ints, first: _Singles, part: Ints, parts: int) -> Floats:
    """Upper bound of each part's gain, (parts,).

    No rider makes two trips: the best of each rider, summed. No order is in two trips: the best share of each order,
    summed. The lesser of the two.
    """
    cheap = first.over[near] < -1.0
    rows, part = near[cheap], part[cheap]
    gain_s, orders = -first.over[rows], columns.orders[rows]
    of_riders = _best_summed(columns.rider[rows], gain_s, part, parts)
    row, at = np.nonzero(orders >= 0)
    of_orders = _best_summed(orders[row, at], (gain_s / columns.size[rows])[row], part[row], parts)
    return np.minimum(of_riders, of_orders)


def _best_summed(key: Ints, gain_s: Floats, part: Ints, parts: int) -> Floats:
    """The greatest gain of each key, summed up over the parts; all of a key's lie in one part."""
    if len(key) == 0:
        return np.zeros(parts)
    best, at = np.zeros(int(key.max()) + 1), np.zeros(int(key.max()) + 1, np.int64)
    np.maximum.at(best, key, gain_s)
    at[key] = part
    summed: Floats = np.bincount(at, weights=best, minlength=parts).astype(np.float64)
    return summed


def _solution(columns: SetPackingColumns, chosen: Ints, status: str, work: int, cost: float, price: float) -> Solution:
    chosen = chosen[np.argsort(columns.rider[chosen], kind="stable")]
    picked = (columns.rider, columns.orders, columns.size, columns.link)
    rows = zip(*(column[chosen].tolist() for column in picked), strict=True)
    trips = tuple([Assigned(rider, tuple(orders[:size]), link) for rider, orders, size, link in rows])
    return Solution(trips, status, work, cost, NAME, busy_price=price)
