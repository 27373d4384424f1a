"""Problem to Solution: the chosen strategy, checked; greedy if it fails."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from dispatch.engine.matching.assignment import assign_single
from dispatch.engine.matching.cost import trips
from dispatch.engine.matching.greedy import greedy
from dispatch.engine.matching.packing import pack
from dispatch.engine.matching.problem import Assigned, Problem, Solution
from dispatch.engine.matching.rules import allowed, held, in_time
from dispatch.engine.matching.timing import approach_s, as_arrays, by_shape, routes_of
from dispatch.engine.params import EngineParams
from dispatch.errors import NonsenseSolution


class Strategy(Protocol):
    """A way to match: pure, deterministic, bounded by `params.solver.work_limit`, on one thread."""

    def __call__(self, problem: Problem, params: EngineParams) -> Solution: ...


STRATEGIES: dict[str, Strategy] = {"assignment": assign_single, "greedy": greedy, "packing": pack}
"""Strategies by the name that `SolverParams.strategy` gives."""


def solve(problem: Problem, params: EngineParams, fallback: str = "") -> Solution:
    """Match; never raises for a solver's sake. Runs in a worker process: all in, all out is picklable.

    With `fallback` (the wall-clock guard fired, or a recorded tick says so) greedy answers at once.
    A strategy that raises, or whose answer breaks a rule, is replaced by greedy and named.
    """
    if fallback:
        return greedy(problem, params, fallback)
    try:
        solution = STRATEGIES[params.solver.strategy](problem, params)
        check(problem, solution, params)
    except NonsenseSolution as error:
        return greedy(problem, params, f"nonsense: {error}")
    except Exception as error:  # noqa: BLE001 - a solver may fail in any way; the record names it
        return greedy(problem, params, f"raised: {type(error).__name__}: {error}")
    return solution


def check(problem: Problem, solution: Solution, params: EngineParams) -> None:
    """Raise NonsenseSolution unless every order and rider is used at most once and within its rules, by a rider who
    can come in time, and a rider on its way to orders it has accepted is given at least one."""
    n, m = len(problem.orders.ids), len(problem.riders.ids)
    assigned = solution.assigned
    if any(not a.orders for a in assigned):
        raise NonsenseSolution("a trip without orders")
    _once("rider", [a.rider for a in assigned], m)
    _once("order", [o for a in assigned for o in a.orders], n)
    for rows in by_shape(assigned):
        _check_trips(problem, [assigned[i] for i in rows], params)
    holders = set(problem.orders.holder[problem.orders.holder >= 0].tolist())
    if left := holders - {a.rider for a in assigned}:
        raise NonsenseSolution(f"rider rows {sorted(left)} on their way were given nothing")


def _once(what: str, rows: list[int], count: int) -> None:
    if rows and (min(rows) < 0 or max(rows) >= count or len(set(rows)) != len(rows)):
        raise NonsenseSolution(f"{what} rows unknown or used twice")


def _check_trips(problem: Problem, group: Sequence[Assigned], params: EngineParams) -> None:
    """Trips of one shape."""
    rider, orders, link = as_arrays(group)
    if link[0] >= 0:
        links = problem.links
        if link.max() >= len(links.orders) or not np.array_equal(links.orders[link], orders):
            raise NonsenseSolution("a trip that is not the link it names")
    elif (problem.orders.restaurant[orders] != problem.orders.restaurant[orders[:, :1]]).any():
        raise NonsenseSolution("orders of several restaurants in one trip")
    start, routes = routes_of(problem, orders, link)
    way_s = approach_s(problem, rider, start)
    if np.isnan(way_s).any():
        raise NonsenseSolution("a rider who was no candidate of the restaurant")
    if not (ok := allowed(problem, rider, routes)).all():
        raise NonsenseSolution(f"{group[int(ok.argmin())]} breaks a rule of its rider")
    trip = trips(problem, params.service, rider, way_s, routes)
    if not (ok := in_time(problem, rider, trip, held(problem, rider, routes.orders))).all():
        raise NonsenseSolution(f"{group[int(ok.argmin())]} comes too late for its rider's shift, or never")
