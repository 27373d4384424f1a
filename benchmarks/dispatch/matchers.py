"""Ways to match single orders, on one and the same problem: the engine's, and the peers'.

Every matcher gets the costs of the same pairs and a price for leaving an order open, and is asked for the optimum.
Those called dense get every pair of an order and a rider, as a full matrix; those called sparse the engine's own
candidates. lapx is a benchmark's dependency only: without it its rows are left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from dispatch.engine.matching.assignment import match
from dispatch.engine.matching.pairs import Pairs, feasible_pairs
from dispatch.engine.matching.problem import Floats, Problem
from dispatch.engine.params import EngineParams

OPEN_S = 1e5
"""The price of an order left open, the same for all."""
DENSE_CELLS = 20_000_000
"""Full matrices are built up to this size: 10,000 orders and 16,667 riders would need 1.3 GB and minutes."""
LAPX_DENSE_CELLS = 1_000_000
"""lapx's dense solver takes 37 ms for 300 orders of this city and more than a minute for 3,000: orders of one
restaurant cost the same from every rider but for a constant, and such ties make it slow."""


@dataclass(frozen=True, slots=True)
class Timed:
    """A matcher on a problem: milliseconds of thread CPU (the least of the rounds) and the cost of its answer."""

    name: str
    cpu_ms: float
    cost: float


@dataclass(frozen=True, slots=True, eq=False)
class Sparse:
    """Pairs, and a column of its own for every order: left open. Costs start at one, as zero would be no edge."""

    pairs: Pairs
    graph: csr_array
    orders: int

    @staticmethod
    def of(problem: Problem, params: EngineParams) -> Sparse:
        pairs = feasible_pairs(problem, params)
        n, m = len(problem.orders.ids), len(problem.riders.ids)
        rows = np.concatenate([pairs.order, np.arange(n)])
        columns = np.concatenate([pairs.rider, m + np.arange(n)])
        graph = csr_array((np.concatenate([pairs.cost + 1, np.full(n, OPEN_S)]), (rows, columns)), shape=(n, m + n))
        graph.sort_indices()
        return Sparse(pairs, graph, n)

    def cost_of(self, order: np.ndarray, column: np.ndarray) -> float:
        """The cost of an answer that names a column for every order."""
        return float(self.graph[order, column].sum() - self.orders)


def sparse_matchers(problem: Problem, params: EngineParams, rounds: int) -> list[Timed]:
    """The engine's and the peers' on the engine's candidates."""
    data = Sparse.of(problem, params)
    open_s = np.full(data.orders, OPEN_S - 1)
    pairs = data.pairs

    def ours() -> float:
        pair = match(problem, pairs.rider, pairs.order, pairs.cost, open_s).pair
        return float(pairs.cost[pair[pair >= 0]].sum() + (OPEN_S - 1) * (pair < 0).sum())

    def scipy_sparse() -> float:
        return data.cost_of(*min_weight_full_bipartite_matching(data.graph))

    found = [_timed("ours, sparse", ours, rounds), _timed("scipy sparse", scipy_sparse, rounds)]
    if find_spec("lap") is not None:
        found.append(_timed("lapx lapmod, sparse", _lapmod(data), rounds))
    return found


def dense_matchers(problem: Problem, params: EngineParams, rounds: int, lapx: bool) -> list[Timed]:
    """The peers' on every pair; `problem` was posed with every rider as a candidate."""
    pairs = feasible_pairs(problem, params)
    n, m = len(problem.orders.ids), len(problem.riders.ids)
    cost = np.full((n, m), OPEN_S)
    cost[pairs.order, pairs.rider] = pairs.cost

    def scipy_dense() -> float:
        order, rider = linear_sum_assignment(cost)
        return float(cost[order, rider].sum())

    found = [_timed("scipy dense", scipy_dense, rounds)]
    if lapx and find_spec("lap") is not None:
        found.append(_timed("lapx lapjvx, dense", _lapjvx(cost), rounds))
    return found


def _lapjvx(cost: Floats) -> Callable[[], float]:
    import lap

    def run() -> float:
        _, order, rider = lap.lapjvx(cost, extend_cost=True)
        return float(cost[order, rider].sum())

    return run


def _lapmod(data: Sparse) -> Callable[[], float]:
    """lapmod wants a square: a row for every rider, which takes the rider's column when it stays idle, and the open
    column of the order it carries else. That doubles the pairs."""
    import lap

    n, width = data.graph.shape
    order, rider = data.pairs.order, data.pairs.rider
    idle = np.arange(width - n)
    rows = np.concatenate([n + rider, n + idle])
    columns = np.concatenate([width - n + order, idle])
    below = csr_array((np.ones(len(rows)), (rows - n, columns)), shape=(width - n, width))
    below.sort_indices()
    costs = np.concatenate([data.graph.data, below.data])
    starts = np.concatenate([data.graph.indptr, data.graph.indptr[-1] + below.indptr[1:]]).astype(np.int32)
    at = np.concatenate([data.graph.indices, below.indices]).astype(np.int32)

    def run() -> float:
        _, column, _ = lap.lapmod(width, costs, starts, at)
        return data.cost_of(np.arange(n), column[:n])

    return run


def _timed(name: str, run: Callable[[], float], rounds: int) -> Timed:
    spent, cost = [], 0.0
    for _ in range(rounds):
        begun = time.thread_time()
        cost = run()
        spent.append(time.thread_time() - begun)
    return Timed(name, round(1000 * min(spent), 1), round(cost, 1))
