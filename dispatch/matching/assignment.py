"""One order a rider, at the least total cost: a linear assignment on the sparse pairs."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from dispatch.matching.pairs import feasible_pairs
from dispatch.matching.problem import Assigned, Problem, Solution
from dispatch.params import EngineParams

OPEN_COST = 1e6
"""Leaving an order open costs more than any trip."""
BOUND_GAIN = 1e7
"""A rider already on its way to a restaurant does not go home without an order."""


def assign_single(problem: Problem, params: EngineParams) -> Solution:
    """The optimum over one-order trips; `work` is the number of pairs."""
    n, m = len(problem.orders.ids), len(problem.riders.ids)
    pairs = feasible_pairs(problem, params)
    if n == 0 or len(pairs.rider) == 0:
        return Solution((), "empty", 0, n * OPEN_COST, "assignment")
    cost = pairs.cost - np.where(problem.riders.heading[pairs.rider] >= 0, BOUND_GAIN, 0.0)
    # A column of its own for every order: left open. Costs are made positive, zero means no edge.
    rows = np.concatenate([pairs.order, np.arange(n)])
    columns = np.concatenate([pairs.rider, m + np.arange(n)])
    data = np.concatenate([cost, np.full(n, OPEN_COST)])
    graph = csr_array((data - data.min() + 1.0, (rows, columns)), shape=(n, m + n))
    order, column = min_weight_full_bipartite_matching(graph)
    served = column < m
    assigned = tuple(Assigned(int(r), (int(o),)) for r, o in sorted(zip(column[served], order[served], strict=True)))
    at = {(int(o), int(r)): float(c) for o, r, c in zip(pairs.order, pairs.rider, pairs.cost, strict=True)}
    total = sum(at[a.orders[0], a.rider] for a in assigned) + OPEN_COST * (n - len(assigned))
    return Solution(assigned, "optimal", len(pairs.rider), total, "assignment")
