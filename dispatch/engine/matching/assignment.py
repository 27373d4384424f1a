"""Match one order a rider at the least total cost: a linear assignment on the sparse pairs, and its prices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from dispatch.engine.matching.pairs import feasible_pairs
from dispatch.engine.matching.problem import Assigned, Floats, Ints, Problem, Solution
from dispatch.engine.params import EngineParams

OPEN_S = 100_000.0
"""Leaving an order open costs more than any trip."""
BOUND_GAIN_S = 10_000_000.0
"""A rider already on its way to a restaurant does not go home without an order."""


@dataclass(frozen=True, slots=True, eq=False)
class Matched:
    """`pair` (n,) is the row of each order's pair, -1 if it stays open."""

    pair: Ints


def assign_single(problem: Problem, params: EngineParams) -> Solution:
    """The optimum over one-order trips; `work` is the number of pairs."""
    n = len(problem.orders.ids)
    pairs = feasible_pairs(problem, params)
    matched = match(problem, pairs.rider, pairs.order, pairs.cost, np.full(n, OPEN_S))
    taken = matched.pair[matched.pair >= 0]
    assigned = sorted((int(pairs.rider[p]), int(pairs.order[p])) for p in taken)
    total = float(pairs.cost[taken].sum()) + OPEN_S * (n - len(taken))
    return Solution(tuple(Assigned(r, (o,)) for r, o in assigned), "optimal", len(pairs.rider), total, "assignment")


def match(problem: Problem, rider: Ints, order: Ints, cost: Floats, open_cost: Floats) -> Matched:
    """The least-cost matching of pairs; `open_cost` (n,) is the price of leaving an order open."""
    n, m = len(problem.orders.ids), len(problem.riders.ids)
    if n == 0 or len(rider) == 0:
        return Matched(np.full(n, -1))
    bound = np.where(problem.riders.heading[rider] >= 0, BOUND_GAIN_S, 0.0)
    # A column of its own for every order: left open. Zero would mean no edge, so costs start at one.
    rows = np.concatenate([order, np.arange(n)])
    columns = np.concatenate([rider, m + np.arange(n)])
    data = np.concatenate([cost - bound, open_cost])
    graph = csr_array((data - data.min() + 1.0, (rows, columns)), shape=(n, m + n))
    _, column = min_weight_full_bipartite_matching(graph)
    taken = column[order] == rider
    pair = np.full(n, -1)
    pair[order[taken]] = np.flatnonzero(taken)
    return Matched(pair)


def prices(
    matched: Matched, rider: Ints, order: Ints, cost: Floats, open_cost: Floats, riders: int
) -> tuple[Floats, Floats]:
    """Cost of each order (n,) and worth of each rider (m,) at the optimum: the dual of the matching.

    No pair is cheaper than they say, `cost + worth[rider] >= price[order]`, and matched ones are exactly so.
    Worths rise from zero until nothing rises any more (Bellman and Ford on the residual graph).
    """
    worth = np.zeros(riders)
    price = open_cost.copy()
    served = np.flatnonzero(matched.pair >= 0)
    pair = matched.pair[served]
    for _ in range(len(price) + 1):
        price[served] = cost[pair] + worth[rider[pair]]
        raised = worth.copy()
        np.maximum.at(raised, rider, price[order] - cost)
        if np.allclose(raised, worth, rtol=0.0, atol=1e-6):
            break
        worth = raised
    return price, worth
