"""Problem to Solution: the chosen strategy, checked; greedy if it fails."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from dispatch.errors import NonsenseSolution
from dispatch.matching.assignment import assign_single
from dispatch.matching.cost import Routes
from dispatch.matching.greedy import greedy
from dispatch.matching.packing import pack
from dispatch.matching.problem import Assigned, Ints, Problem, Solution
from dispatch.matching.rules import allowed
from dispatch.params import EngineParams


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
        check(problem, solution)
    except NonsenseSolution as error:
        return greedy(problem, params, f"nonsense: {error}")
    except Exception as error:  # noqa: BLE001 - a solver may fail in any way; the record names it
        return greedy(problem, params, f"raised: {type(error).__name__}: {error}")
    return solution


def check(problem: Problem, solution: Solution) -> None:
    """Raise NonsenseSolution unless every order and rider is used at most once and within its rules, by a rider who
    could come, and a rider on its way to orders it has accepted is given at least one."""
    n, m = len(problem.orders.ids), len(problem.riders.ids)
    assigned = solution.assigned
    if any(not a.orders for a in assigned):
        raise NonsenseSolution("a trip without orders")
    _once("rider", [a.rider for a in assigned], m)
    _once("order", [o for a in assigned for o in a.orders], n)
    by_shape: dict[tuple[int, bool], list[Assigned]] = {}
    for a in assigned:
        by_shape.setdefault((len(a.orders), a.link >= 0), []).append(a)
    for (_, linked), group in by_shape.items():
        if linked:
            _check_links(problem, group)
        else:
            _check_trips(problem, group)
    holders = set(problem.orders.holder[problem.orders.holder >= 0].tolist())
    if left := holders - {a.rider for a in assigned}:
        raise NonsenseSolution(f"rider rows {sorted(left)} on their way were given nothing")


def _once(what: str, rows: list[int], count: int) -> None:
    if rows and (min(rows) < 0 or max(rows) >= count or len(set(rows)) != len(rows)):
        raise NonsenseSolution(f"{what} rows unknown or used twice")


def _check_trips(problem: Problem, group: Sequence[Assigned]) -> None:
    """Trips with equally many orders of one restaurant each."""
    rider, orders = np.array([a.rider for a in group]), np.array([a.orders for a in group])
    restaurant = problem.orders.restaurant[orders]
    if (restaurant != restaurant[:, :1]).any():
        raise NonsenseSolution("orders of several restaurants in one trip")
    _known_edges(problem, rider, restaurant[:, 0])
    if not (ok := allowed(problem, rider, Routes(orders, np.zeros(orders.shape)))).all():
        raise NonsenseSolution(f"{group[int(ok.argmin())]} breaks a rule of its rider")


def _check_links(problem: Problem, group: Sequence[Assigned]) -> None:
    """Trips of two restaurants."""
    links, link = problem.links, np.array([a.link for a in group])
    if link.max() >= len(links.orders) or (links.orders[link] != np.array([a.orders for a in group])).any():
        raise NonsenseSolution("a trip that is not the link it names")
    rider = np.array([a.rider for a in group])
    _known_edges(problem, rider, links.counters[link, 0])
    counter = np.zeros((len(group), 2), np.int64)
    routes = Routes(links.orders[link], links.ways_s[link], counter, links.hop_s[link])
    if not (ok := allowed(problem, rider, routes)).all():
        raise NonsenseSolution(f"{group[int(ok.argmin())]} breaks a rule of its rider")


def _known_edges(problem: Problem, rider: Ints, restaurant: Ints) -> None:
    """Every rider must be a candidate of the restaurant; edges are sorted by restaurant, then rider."""
    width = len(problem.riders.ids)
    known, asked = problem.edges.restaurant * width + problem.edges.rider, restaurant * width + rider
    at = np.minimum(np.searchsorted(known, asked), len(known) - 1)
    if len(known) == 0 or (known[at] != asked).any():
        raise NonsenseSolution("a rider who was no candidate of the restaurant")
