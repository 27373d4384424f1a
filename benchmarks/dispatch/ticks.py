"""How long one tick takes on a snapshot of a big city, beside other ways to match the same pairs.

The snapshot: orders of the last quarter of an hour, ready in five to forty minutes, idle riders strewn over 22 by 22
km; travel times by the free-flow model. The peers get the costs of all pairs of orders and riders (dense) or of the
same candidates (sparse) and match single orders; both are exact.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from dispatch.engine import CityState, Draft, Problem, apply, decide, pose, solve
from dispatch.inputs import OrderOpened, Positions, RiderOnline
from dispatch.matching.pairs import feasible_pairs
from dispatch.model import OrderId, Point, RestaurantId, RiderId
from dispatch.params import BundleParams, CandidateParams, EngineParams
from dispatch.travel.free_flow import FreeFlowTravel

NOW_MS = 3_600_000
RIDERS_PER_ORDER = 5 / 3
UNSERVED = 1e6


@dataclass(frozen=True, slots=True)
class TickFigures:
    """Milliseconds of a whole tick (apply to decide) and of the peers; costs of single-order matchings."""

    orders: int
    riders: int
    tick_p50_ms: float
    tick_p95_ms: float
    solve_p50_ms: float
    offers: int
    dense_ms: float | None
    sparse_ms: float
    cost_over_dense_pct: float | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A city between two ticks."""

    state: CityState
    positions: Positions


def snapshot(orders: int, seed: int = 1) -> Snapshot:
    """A seeded city with so many open orders."""
    rng = np.random.default_rng(seed)
    riders, restaurants = round(orders * RIDERS_PER_ORDER), max(1, orders // 4)
    counters, doors, places = (
        rng.integers(-1_000_000, 1_000_000, (n, 2)).tolist() for n in (restaurants, orders, riders)
    )
    at = rng.integers(0, restaurants, orders).tolist()
    placed = (NOW_MS - rng.integers(0, 900_000, orders)).tolist()
    ready = (NOW_MS + rng.integers(300_000, 2_400_000, orders)).tolist()
    draft = Draft(CityState())
    online = [RiderOnline(0, RiderId(i), 10 * NOW_MS, 4) for i in range(riders)]
    opened = [
        OrderOpened(
            at_ms=placed[i],
            order_id=OrderId(f"o{i:05}"),
            restaurant_id=RestaurantId(f"r{at[i]}"),
            pickup=Point(*counters[at[i]]),
            drop=Point(*doors[i]),
            placed_ms=placed[i],
            ready_ms=ready[i],
            promised_ms=placed[i] + 2_700_000,
        )
        for i in range(orders)
    ]
    apply(draft, [*online, *opened], NOW_MS, EngineParams())
    draft.base.commit(draft.changes())
    points = np.array(places)
    return Snapshot(
        draft.base, Positions(np.arange(riders, dtype=np.uint64), points[:, 0], points[:, 1], np.full(riders, 1000))
    )


def measure_ticks(orders: int, rounds: int, dense: bool) -> TickFigures:
    """Ticks on one snapshot, after what is overdue there has been offered once; then the peers."""
    params, travel = EngineParams(), FreeFlowTravel()
    city = snapshot(orders)
    # The first tick offers all that has piled up; a running city has done so long ago.
    draft = Draft(city.state)
    apply(draft, [], NOW_MS, params)
    problem = pose(draft, city.positions, NOW_MS, travel, params)
    city.state.commit(decide(draft, problem, solve(problem, params), "warm", params).changes)
    whole, solving, offers = [], [], 0
    for n in range(rounds):
        now_ms = NOW_MS + 1000 * (n + 1)
        begun = time.perf_counter()
        draft = Draft(city.state)
        apply(draft, [], now_ms, params)
        problem = pose(draft, city.positions, now_ms, travel, params)
        posed = time.perf_counter()
        solution = solve(problem, params)
        solving.append(time.perf_counter() - posed)
        decisions = decide(draft, problem, solution, f"t{n}", params)
        whole.append(time.perf_counter() - begun)
        offers += len(decisions.offers)
        city.state.commit(decisions.changes)
    return _beside_peers(city, whole, solving, offers, dense)


def _beside_peers(city: Snapshot, whole: list[float], solving: list[float], offers: int, dense: bool) -> TickFigures:
    single = EngineParams(bundles=BundleParams(max_orders=1))
    everyone = EngineParams(
        bundles=BundleParams(max_orders=1), candidates=CandidateParams(per_restaurant=10_000, max_approach_s=86_400)
    )
    problem = pose(Draft(city.state), city.positions, NOW_MS, FreeFlowTravel(), single)
    sparse_ms, sparse_cost = _sparse(problem, single)
    dense_ms, over_pct = None, None
    if dense:
        full = pose(Draft(city.state), city.positions, NOW_MS, FreeFlowTravel(), everyone)
        dense_ms, dense_cost = _dense(full, everyone)
        over_pct = round(100 * (sparse_cost / dense_cost - 1), 4)
    return TickFigures(
        orders=len(problem.orders.ids),
        riders=len(problem.riders.ids),
        tick_p50_ms=round(1000 * float(np.percentile(whole, 50)), 1),
        tick_p95_ms=round(1000 * float(np.percentile(whole, 95)), 1),
        solve_p50_ms=round(1000 * float(np.percentile(solving, 50)), 1),
        offers=offers,
        dense_ms=dense_ms,
        sparse_ms=sparse_ms,
        cost_over_dense_pct=over_pct,
    )


def _sparse(problem: Problem, params: EngineParams) -> tuple[float, float]:
    """Milliseconds and cost of scipy's sparse matching on the engine's own candidates."""
    pairs = feasible_pairs(problem, params)
    n, m = len(problem.orders.ids), len(problem.riders.ids)
    rows = np.concatenate([pairs.order, np.arange(n)])
    columns = np.concatenate([pairs.rider, m + np.arange(n)])
    graph = csr_array((np.concatenate([pairs.cost + 1, np.full(n, UNSERVED)]), (rows, columns)), shape=(n, m + n))
    begun = time.perf_counter()
    order, rider = min_weight_full_bipartite_matching(graph)
    spent = time.perf_counter() - begun
    return round(1000 * spent, 1), float(graph[order, rider].sum() - n)


def _dense(problem: Problem, params: EngineParams) -> tuple[float, float]:
    """Milliseconds and cost of scipy's dense assignment over every pair."""
    pairs = feasible_pairs(problem, params)
    cost = np.full((len(problem.orders.ids), len(problem.riders.ids)), UNSERVED)
    cost[pairs.order, pairs.rider] = pairs.cost
    begun = time.perf_counter()
    order, rider = linear_sum_assignment(cost)
    return round(1000 * (time.perf_counter() - begun), 1), float(cost[order, rider].sum())
