"""Random small matching problems, and the optimum by trying everything."""

from __future__ import annotations

from itertools import pairwise, permutations

import numpy as np

from dispatch.engine.apply import apply
from dispatch.engine.inputs import Input
from dispatch.engine.matching.cost import Routes, terms, weighted
from dispatch.engine.matching.problem import Problem
from dispatch.engine.matching.waves import waves
from dispatch.engine.params import BundleParams, CostParams, EngineParams, OfferParams
from dispatch.engine.pose import pose
from dispatch.engine.state import Draft
from dispatch.engine.travel.planar import PlanarTravel
from tests.unit.dispatch.engine.small_worlds import METRES_PER_MINUTE, MINUTE_MS, SmallWorld, order

PARAMS = EngineParams(
    offers=OfferParams(lead_s=0.0),
    cost=CostParams(late=1.0, waiting=0.1, approach=0.2, age=0.0, pressure=0.0, refusal_s=0.0, spread=0.0),
    bundles=BundleParams(max_orders=3, ready_spread_s=3600.0, between_m=0.0),
)


def random_problem(seed: int, riders: int, orders: int, restaurants: int = 2) -> Problem:
    """Riders and orders strewn over 4 km; some shifts end soon."""
    rng = np.random.default_rng(seed)
    world = SmallWorld(params=PARAMS)
    counters = [tuple(int(v) for v in rng.integers(0, 4000, 2)) for _ in range(restaurants)]
    inputs: list[Input] = [
        world.rider(
            i + 1,
            at=tuple(int(v) for v in rng.integers(0, 4000, 2)),  # type: ignore[arg-type]
            off=int(rng.choice([12, 30, 600])),
            capacity=int(rng.integers(1, 4)),
        )
        for i in range(riders)
    ]
    inputs += [
        order(
            f"o{i}",
            at=counters[int(rng.integers(restaurants))],  # type: ignore[arg-type]
            to=tuple(int(v) for v in rng.integers(0, 4000, 2)),  # type: ignore[arg-type]
            ready=int(rng.integers(0, 30)),
        )
        for i in range(orders)
    ]
    draft = Draft(world.state)
    apply(draft, inputs, 5 * MINUTE_MS, PARAMS)
    return pose(draft, world.positions(), 5 * MINUTE_MS, PlanarTravel(METRES_PER_MINUTE), PARAMS)


def trip_cost(problem: Problem, params: EngineParams, rider: int, orders: tuple[int, ...]) -> float:
    """Cost of a trip in the given drop order; infinite if it breaks a rule."""
    k = int(problem.orders.restaurant[orders[0]])
    if len(set(problem.orders.restaurant[list(orders)].tolist())) > 1:
        return np.inf
    edge = np.flatnonzero((problem.edges.rider == rider) & (problem.edges.restaurant == k))
    if len(edge) == 0 or problem.orders.size[list(orders)].sum() > problem.riders.room[rider]:
        return np.inf
    legs = [leg_s(problem, a, b) for a, b in pairwise(orders)]
    routes = Routes(np.array([orders]), np.array([[problem.orders.direct_s[orders[0]], *legs]]))
    approach = problem.edges.approach_s[edge]
    found, trip = terms(problem, params.service, params.cost, np.array([rider]), approach, routes)
    if trip.pickup_s[0, 0] > problem.riders.shift_end_s[rider]:
        return np.inf
    return float(weighted(found, params.cost)[0])


def leg_s(problem: Problem, origin: int, destination: int) -> float:
    """The way between two doors of one restaurant's orders."""
    restaurant = problem.orders.restaurant[[origin]]
    return float(problem.groups.leg_s(restaurant, np.array([origin]), np.array([destination]))[0])


def best_trip_cost(problem: Problem, params: EngineParams, rider: int, orders: tuple[int, ...]) -> float:
    """Cost of a trip in the drop order with the least sum of times at the doors, as the engine chooses it."""
    if len(set(problem.orders.restaurant[list(orders)].tolist())) > 1:
        return np.inf

    def at_doors(sequence: tuple[int, ...]) -> float:
        ways = [problem.orders.direct_s[sequence[0]]]
        ways += [leg_s(problem, a, b) for a, b in pairwise(sequence)]
        return float(np.cumsum(np.array(ways) + params.service.dropoff_s).sum())

    return trip_cost(problem, params, rider, min(permutations(orders), key=at_doors))


def brute_force(problem: Problem, params: EngineParams, max_orders: int) -> float:
    """The least total cost over every partition of orders into trips and put-off orders."""
    later = waves(problem, params)
    n, m = len(problem.orders.ids), len(problem.riders.ids)
    memo: dict[tuple[int, int, tuple[int, ...]], float] = {}

    def best(rider: int, left: int, _: tuple[int, ...] = ()) -> float:
        if rider == m:
            return put_off(left)
        key = (rider, left, ())
        if key not in memo:
            found = best(rider + 1, left)
            for subset in subsets(left, max_orders):
                cost = best_trip_cost(problem, params, rider, subset)
                if np.isfinite(cost):
                    found = min(found, cost + best(rider + 1, left & ~sum(1 << o for o in subset)))
            memo[key] = found
        return memo[key]

    def put_off(left: int) -> float:
        rest = [o for o in range(n) if left >> o & 1]

        def place(i: int, room: tuple[int, ...]) -> float:
            if i == len(rest):
                return 0.0
            costs = [
                later.cost[k, rest[i]] + place(i + 1, (*room[:k], room[k] - 1, *room[k + 1 :]))
                for k in range(len(room))
                if room[k] > 0
            ]
            return float(min(costs))

        return place(0, tuple(int(r) for r in later.room))

    return best(0, (1 << n) - 1)


def subsets(left: int, most: int) -> list[tuple[int, ...]]:
    """Non-empty sets of at most `most` of the orders in the bit mask."""
    members = [o for o in range(left.bit_length()) if left >> o & 1]
    found: list[tuple[int, ...]] = [()]
    for o in members:
        found += [(*s, o) for s in found if len(s) < most]
    return [s for s in found if s]
