"""The engine's answer on samples where orders are stacked, beside the exact optimum of set packing, proven by HiGHS.

The exact one may use every rider for every order, bundle whatever is at one counter, and fetch any two orders of close
counters: the limits by which a tick keeps its columns few (candidates, `bundles.POOL`, `links.PARTNERS`) are lifted,
and no column is left out for its price. What a trip is stays as it is in the matching: at most three orders
ready within ten minutes, doors in the quickest order, two counters only where door to door is the shorter way. So do
costs, waves, and that a rider on its way keeps something to do.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array

from benchmarks.dispatch.snapshot import NOW_MS, Snapshot, snapshot, warm
from dispatch.engine.matching.links import links_of
from dispatch.engine.matching.packing import busy_price
from dispatch.engine.matching.packing_columns import SetPackingColumns, columns_of
from dispatch.engine.matching.problem import Floats, Problem
from dispatch.engine.matching.solve import solve
from dispatch.engine.matching.waves import Waves, waves
from dispatch.engine.params import EngineParams
from dispatch.engine.travel.free_flow import FreeFlowTravel
from node.geodesy import points

SIDE_E7 = 550_000
LIMIT_S = 60.0
EVERY = 10_000
"""More than there is of anything."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A city over 6 by 6 km. With `rebundle` accepted orders may still change riders, and some riders are on their
    way."""

    kind: str
    orders: int
    riders: int
    restaurants: int
    seed: int
    rebundle: bool = False


#: What is judged: six orders a counter, two riders for five of them.
JUDGED = "many counters"
#: The others are told and not judged. At dense counters, with more orders than a tick combines and too few riders for
#: all of them now, a tick's limits do cost something: see ADR 12.
SAMPLES = (
    *(Sample(JUDGED, n, n * 2 // 5, n // 6, seed) for n in (20, 40, 80, 120) for seed in (1, 2, 3)),
    *(Sample("rebundle", 60, 30, 10, seed, rebundle=True) for seed in range(1, 11)),
    *(Sample("dense counters", 40, 16, 2, seed) for seed in range(1, 11)),
    *(Sample("dense counters, rebundle", 40, 25, 2, seed, rebundle=True) for seed in range(1, 11)),
)


@dataclass(frozen=True, slots=True)
class Packed:
    """One sample. `bound` is what HiGHS has proven to be the least there can be; `proven` says that it reached it."""

    kind: str
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
        """Percent by which our cost exceeds the exact one."""
        return 100 * (self.ours / self.exact - 1)


def samples() -> Iterator[Packed]:
    """Every sample, as it is solved."""
    yield from map(packed, SAMPLES)


def packed(sample: Sample) -> Packed:
    """Ours and the exact one. Raises `RuntimeError` where the engine fell back to greedy: that is not its answer."""
    params = EngineParams(rebundle=sample.rebundle)
    city = snapshot(sample.orders, sample.riders, sample.restaurants, SIDE_E7, sample.seed)
    warm(city, params)
    problem = city.problem(params)
    begun = time.perf_counter()
    solution = solve(problem, params)
    ours_ms = 1000 * (time.perf_counter() - begun)
    if solution.fallback:
        raise RuntimeError(f"{sample}: the engine fell back: {solution.fallback}")
    full, columns, later = everything(city, params)
    begun = time.perf_counter()
    exact, bound = optimum(full, columns, later)
    return Packed(
        kind=sample.kind,
        orders=len(problem.orders.ids),
        riders=len(problem.riders.ids),
        seed=sample.seed,
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


def everything(city: Snapshot, params: EngineParams) -> tuple[Problem, SetPackingColumns, Waves]:
    """The problem of this city with no limit on how much is looked at, and all its columns."""
    wide = replace(params.candidates, per_restaurant=EVERY, per_bundle=EVERY, max_approach_s=86_400)
    params = replace(params, candidates=wide)
    problem = city.problem(params)
    orders = [city.state.orders[o] for o in problem.orders.ids]
    pickups = {order.restaurant_id: order.pickup for order in orders}
    counters, drops = points([pickups[r] for r in problem.restaurant_ids]), points([order.drop for order in orders])
    links = links_of(problem.orders, counters, drops, NOW_MS, FreeFlowTravel(), params, partners=EVERY)
    problem = replace(problem, links=links)
    columns = columns_of(problem, params, busy_price(problem, params.cost), pool=EVERY)
    return problem, columns, waves(problem, params)


def optimum(problem: Problem, columns: SetPackingColumns, later: Waves) -> tuple[float, float]:
    """Cost of the best packing found, and the proven bound: every order in one trip or one wave, a rider in one trip at
    most and, if it is on its way to orders it has accepted, in one at least, a wave within its room."""
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
            LinearConstraint(rides, np.isin(np.arange(m), problem.orders.holder).astype(np.float64), 1),
            LinearConstraint(room, 0, later.room.astype(np.float64)),
        ],
        options={"time_limit": LIMIT_S, "mip_rel_gap": 1e-6},
    )
    if found.x is None:
        raise RuntimeError(f"HiGHS found no packing: {found.message}")
    return float(found.fun), float(found.mip_dual_bound)


def _rows(rows: np.ndarray, columns: np.ndarray, height: int, width: int) -> coo_array:
    return coo_array((np.ones(len(rows)), (rows, columns)), shape=(height, width))
