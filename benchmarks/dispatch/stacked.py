"""Stacked routes at one counter: the engine's packing beside PyVRP and Vroom, on identical data.

A sample is one restaurant with more orders than riders near it: who takes which orders, and in which order are they
dropped? All get the same riders, orders, ways and service times, and must carry every order now, at most three a trip.
The peers minimise what they are made for, the time their vehicles are under way; the engine its own cost, lateness and
food going cold included. So every answer is told both: the engine's cost of its trips, and the seconds from setting
out to the last door; and the engine is asked once more with the peers' aim for its cost. PyVRP and Vroom are a
benchmark's dependencies only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec

import numpy as np

from benchmarks.dispatch.snapshot import NOW_MS, Snapshot, snapshot
from dispatch.engine.matching.cost import Routes, terms, weighted
from dispatch.engine.matching.problem import Assigned, Problem
from dispatch.engine.matching.solve import solve
from dispatch.engine.model import StopKind
from dispatch.engine.params import BundleParams, CostParams, EngineParams
from dispatch.engine.service_times import half_s, handover
from dispatch.engine.travel.free_flow import FreeFlowTravel

#: Orders and riders of a sample.
SIZES = ((6, 3), (9, 4), (12, 5))
SEEDS = range(1, 6)
SIDE_E7 = 400_000
A_TRIP = 3
PYVRP_ITERATIONS = 300
VROOM_EFFORT = 5
LATEST_S = 1_000_000
UNDER_WAY = 4
"""Index of `busy` among the terms: seconds from setting out to the end of the last drop."""

PARAMS = EngineParams(
    bundles=BundleParams(max_orders=A_TRIP, ready_spread_s=7200, between_m=0),
    # No later waves: what is not carried now stays undone.
    cost=CostParams(orders_per_wave=0.0),
)

Trips = Sequence[tuple[int, tuple[int, ...]]]
"""Rider rows with order rows in the order of their drops."""


@dataclass(frozen=True, slots=True)
class Stacked:
    """One solver over all samples of a size: means of wall milliseconds, cost, seconds under way; orders left over."""

    solver: str
    orders: int
    riders: int
    ms: float
    cost: float
    under_way_s: float
    left_over: int


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A problem at one counter, and the ways between its places: the counter, riders, then doors (seconds)."""

    problem: Problem
    ways_s: np.ndarray

    @staticmethod
    def of(city: Snapshot) -> Sample:
        problem = city.problem(PARAMS)
        state, positions = city.state, city.positions
        at = {int(r): i for i, r in enumerate(positions.rider_ids)}
        riders = [(positions.lat_e7[at[r]], positions.lng_e7[at[r]]) for r in problem.riders.ids]
        doors = [(state.orders[o].drop.lat_e7, state.orders[o].drop.lng_e7) for o in problem.orders.ids]
        counter = state.orders[problem.orders.ids[0]].pickup
        places = np.array([(counter.lat_e7, counter.lng_e7), *riders, *doors], np.int64)
        ways_s = np.rint(FreeFlowTravel().matrix(places, places, NOW_MS)).astype(np.int64)
        return Sample(problem, ways_s)

    def door(self, order: int) -> int:
        """The place of an order's door."""
        return 1 + len(self.problem.riders.ids) + order


def compare() -> Iterator[Stacked]:
    """Every solver that is installed, for each size."""
    solvers: list[tuple[str, Callable[[Sample], Trips]]] = [("ours", _ours), ("ours, their aim", _ours_for_them)]
    if find_spec("pyvrp") is not None:
        solvers.append(("pyvrp", _pyvrp))
    if find_spec("vroom") is not None:
        solvers.append(("pyvroom", _vroom))
    for orders, riders in SIZES:
        worlds = [Sample.of(snapshot(orders, riders, 1, SIDE_E7, seed)) for seed in SEEDS]
        for name, solver in solvers:
            yield _measured(name, solver, worlds)


def _measured(name: str, solver: Callable[[Sample], Trips], worlds: list[Sample]) -> Stacked:
    spent, cost, under_way, left = [], [], [], 0
    for world in worlds:
        begun = time.perf_counter()
        trips = solver(world)
        spent.append(time.perf_counter() - begun)
        found = [_priced(world.problem, rider, orders) for rider, orders in trips]
        cost.append(sum(c for c, _ in found))
        under_way.append(sum(s for _, s in found))
        left += len(world.problem.orders.ids) - sum(len(orders) for _, orders in trips)
    orders, riders = len(worlds[0].problem.orders.ids), len(worlds[0].problem.riders.ids)
    mean = [round(sum(values) / len(worlds), 1) for values in (cost, under_way)]
    return Stacked(name, orders, riders, round(1000 * sum(spent) / len(worlds), 1), mean[0], mean[1], left)


def _priced(problem: Problem, rider: int, orders: tuple[int, ...]) -> tuple[float, float]:
    """The engine's cost of a trip, and its seconds under way."""
    rows = np.array([orders])
    counter = problem.orders.restaurant[rows[:, :1]]
    ways_s = np.empty(rows.shape)
    ways_s[:, 0] = problem.orders.direct_s[rows[:, 0]]
    ways_s[:, 1:] = problem.groups.leg_s(counter, rows[:, :-1], rows[:, 1:])
    approach_s = problem.edges.approach_s[problem.edges.rider == rider]
    found, _ = terms(problem, PARAMS.service, PARAMS.cost, np.array([rider]), approach_s, Routes(rows, ways_s))
    return float(weighted(found, PARAMS.cost)[0]), float(found[UNDER_WAY][0])


def _ours(world: Sample) -> Trips:
    assigned: tuple[Assigned, ...] = solve(world.problem, PARAMS).assigned
    return [(a.rider, a.orders) for a in assigned]


def _ours_for_them(world: Sample) -> Trips:
    assigned = solve(world.problem, replace(PARAMS, cost=replace(PARAMS.cost, late=0.0, waiting=0.0, busy=20.0)))
    return [(a.rider, a.orders) for a in assigned.assigned]


def _at_counter_s(world: Sample, rider: int) -> int:
    """Time at which the rider can take food in hand."""
    way_s = int(world.ways_s[1 + rider, 0])
    there_s = float(world.problem.riders.free_s[rider]) + way_s
    return round(handover(there_s, half_s(StopKind.PICKUP, PARAMS.service)))


def _ready_s(world: Sample, order: int) -> int:
    return max(0, round(float(world.problem.orders.ready_s[order])))


def _pyvrp(world: Sample) -> Trips:
    """The counter is the depot, orders are released when ready; a rider is a vehicle that can load from a certain
    moment on, at the fixed cost of its way there. The way back is free."""
    import pyvrp

    problem, service = world.problem, PARAMS.service
    model = pyvrp.Model()
    places = [model.add_location(i, 0) for i in range(1 + len(problem.orders.ids))]
    depot = model.add_depot(places[0])
    for order in range(len(problem.orders.ids)):
        served_s, ready_s = round(service.dropoff_s), _ready_s(world, order)
        model.add_client(places[1 + order], delivery=1, service_duration=served_s, release_time=ready_s)
    for rider in range(len(problem.riders.ids)):
        model.add_vehicle_type(
            capacity=A_TRIP,
            start_depot=depot,
            end_depot=depot,
            fixed_cost=int(world.ways_s[1 + rider, 0]),
            tw_early=_at_counter_s(world, rider),
            unit_distance_cost=0,
            unit_duration_cost=1,
        )
    stops = [0, *(world.door(o) for o in range(len(problem.orders.ids)))]
    for i, start in enumerate(stops):
        for k, end in enumerate(stops):
            if i != k:
                way_s = int(world.ways_s[start, end]) if k else 0
                model.add_edge(places[i], places[k], distance=way_s, duration=way_s)
    stop = pyvrp.stop.MaxIterations(PYVRP_ITERATIONS)
    best = model.solve(stop, seed=1, display=False, collect_stats=False).best
    return [(r.vehicle_type(), tuple(visit.idx for visit in r if visit.is_client())) for r in best.routes()]


def _vroom(world: Sample) -> Trips:
    """Vehicles that load at the counter from a certain moment on, at the fixed cost of the rider's way there; a door
    is open from when food that is ready could be there."""
    import vroom

    problem, service = world.problem, PARAMS.service
    asked = vroom.Input()
    asked.set_durations_matrix("car", world.ways_s.astype(np.uint32))
    for rider in range(len(problem.riders.ids)):
        loads = vroom.TimeWindow(_at_counter_s(world, rider), LATEST_S)
        costs = vroom.VehicleCosts(fixed=int(world.ways_s[1 + rider, 0]))
        asked.add_vehicle(vroom.Vehicle(rider, start=0, capacity=[A_TRIP], time_window=loads, costs=costs))
    for order in range(len(problem.orders.ids)):
        door = world.door(order)
        opens = vroom.TimeWindow(_ready_s(world, order) + int(world.ways_s[0, door]), LATEST_S)
        served_s = round(service.dropoff_s)
        asked.add_job(
            vroom.Job(order, door, default_service=served_s, delivery=vroom.Amount([1]), time_windows=[opens])
        )
    answer = asked.solve(exploration_level=VROOM_EFFORT, nb_threads=1).to_dict()
    return [(r["vehicle"], tuple(s["id"] for s in r["steps"] if s["type"] == "job")) for r in answer["routes"]]
