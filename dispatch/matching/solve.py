"""Problem to Solution: the chosen strategy, checked; greedy if it fails."""

from __future__ import annotations

from typing import Protocol

from dispatch.errors import NonsenseSolution
from dispatch.matching.assignment import assign_single
from dispatch.matching.greedy import greedy
from dispatch.matching.packing import pack
from dispatch.matching.problem import Problem, Solution
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
    """Raise NonsenseSolution unless every order and rider is used at most once and within its rules, and a rider
    on its way to orders it has accepted is given at least one."""
    seen_riders: set[int] = set()
    seen_orders: set[int] = set()
    n, m = len(problem.orders.ids), len(problem.riders.ids)
    for a in solution.assigned:
        if not 0 <= a.rider < m or a.rider in seen_riders:
            raise NonsenseSolution(f"rider row {a.rider} unknown or used twice")
        if not a.orders or any(not 0 <= o < n or o in seen_orders for o in a.orders):
            raise NonsenseSolution(f"orders {a.orders} unknown, used twice or none")
        rows = list(a.orders)
        if len(set(problem.orders.restaurant[rows].tolist())) != 1 or len(set(rows)) != len(rows):
            raise NonsenseSolution(f"orders {a.orders} are not of one restaurant")
        if problem.orders.size[rows].sum() > problem.riders.room[a.rider]:
            raise NonsenseSolution(f"orders {a.orders} exceed the rider's capacity")
        seen_riders.add(a.rider)
        seen_orders.update(rows)
    holders = set(problem.orders.holder[problem.orders.holder >= 0].tolist())
    if not holders <= seen_riders:
        raise NonsenseSolution(f"rider rows {sorted(holders - seen_riders)} on their way were given nothing")
