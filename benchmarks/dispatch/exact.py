"""The engine's answer on samples where orders are stacked, beside the exact optimum of set packing, proven by HiGHS.

The exact one may use every rider for every order, and every bundle: none of the engine's shortcuts. The problem is
that of `dispatch.matching.packing`, costs, waves and all; only the columns are more.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array

from benchmarks.dispatch.snapshot import snapshot, warm
from dispatch.matching.columns import Columns, columns_of
from dispatch.matching.packing import busy_price
from dispatch.matching.problem import Floats, Problem
from dispatch.matching.solve import solve
from dispatch.matching.waves import Waves, waves
from dispatch.params import EngineParams

#: Orders, riders, restaurants and seed of a sample; fewer riders than orders, over 6 by 6 km.
SAMPLES = tuple((n, max(2, n * 2 // 5), max(1, n // 6), seed) for n in (20, 40, 80, 120) for seed in (1, 2, 3))
SIDE_E7 = 550_000
LIMIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Packed:
    """One sample. `bound` is what HiGHS has proven to be the least there can be; `proven` says that it reached it."""

    orders: int
    riders: int
    seed: int
    columns: int
    ours: float
    exact: float
    bound: float
    proven: bool
    ours_ms: float
    exact_ms: float
    bundles: int
    status: str

    @property
    def gap_pct(self) -> float:
        """How much more ours costs than the exact one."""
        return 100 * (self.ours / self.exact - 1)


def samples() -> Iterator[Packed]:
    """Every sample, as it is solved."""
    for orders, riders, restaurants, seed in SAMPLES:
        yield _sample(orders, riders, restaurants, seed)


def _sample(orders: int, riders: int, restaurants: int, seed: int) -> Packed:
    params = EngineParams()
    city = snapshot(orders, riders, restaurants, SIDE_E7, seed)
    warm(city, params)
    problem = city.problem(params)
    begun = time.perf_counter()
    solution = solve(problem, params)
    ours_ms = 1000 * (time.perf_counter() - begun)
    everything = replace(
        params, candidates=replace(params.candidates, per_restaurant=10_000, per_bundle=10_000, max_approach_s=86_400)
    )
    full = city.problem(everything)
    columns = columns_of(full, everything, busy_price(full, params.cost))
    begun = time.perf_counter()
    exact, bound = optimum(full, columns, waves(full, everything))
    return Packed(
        orders=len(problem.orders.ids),
        riders=len(problem.riders.ids),
        seed=seed,
        columns=len(columns.rider),
        ours=round(solution.cost, 1),
        exact=round(exact, 1),
        bound=round(bound, 1),
        proven=exact - bound <= 1e-4 * abs(exact),
        ours_ms=round(ours_ms, 1),
        exact_ms=round(1000 * (time.perf_counter() - begun), 1),
        bundles=sum(len(a.orders) > 1 for a in solution.assigned),
        status=solution.status,
    )


def optimum(problem: Problem, columns: Columns, later: Waves) -> tuple[float, float]:
    """Cost of the best packing found, and the proven bound: every order in one trip or one wave, a rider in one trip at
    most, a wave within its room."""
    n, m, trips, many = len(problem.orders.ids), len(problem.riders.ids), len(columns.rider), len(later.room)
    trip, at = np.nonzero(columns.orders >= 0)
    wave, order = np.divmod(np.arange(many * n), n)
    width = trips + many * n
    covers = _rows(np.r_[columns.orders[trip, at], order], np.r_[trip, trips + np.arange(many * n)], n, width)
    rides = _rows(columns.rider, np.arange(trips), m, width)
    room = _rows(wave, trips + np.arange(many * n), many, width)
    cost: Floats = np.concatenate([columns.cost, later.cost.reshape(-1)])
    found = milp(
        cost,
        integrality=np.ones(width, np.int64),
        bounds=Bounds(0, 1),
        constraints=[
            LinearConstraint(covers, 1, 1),
            LinearConstraint(rides, 0, 1),
            LinearConstraint(room, 0, later.room.astype(np.float64)),
        ],
        options={"time_limit": LIMIT_S, "mip_rel_gap": 1e-6},
    )
    if found.x is None:
        raise RuntimeError(f"HiGHS found no packing: {found.message}")
    return float(found.fun), float(found.mip_dual_bound)


def _rows(rows: np.ndarray, columns: np.ndarray, height: int, width: int) -> coo_array:
    return coo_array((np.ones(len(rows)), (rows, columns)), shape=(height, width))
