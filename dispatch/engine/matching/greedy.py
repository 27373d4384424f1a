"""Cheapest pair first: the answer that is always ready."""

from __future__ import annotations

import numpy as np

from dispatch.engine.matching.assignment import OPEN_S
from dispatch.engine.matching.pairs import Pairs, feasible_pairs
from dispatch.engine.matching.problem import Assigned, Problem, Solution
from dispatch.engine.params import EngineParams


def greedy(problem: Problem, params: EngineParams, fallback: str = "") -> Solution:
    """Match one order a rider, cheapest pair first; riders already on their way keep at least one order.

    An order left open costs what it does in `dispatch.engine.matching.assignment`.
    """
    pairs = feasible_pairs(problem, params)
    bound = problem.riders.heading[pairs.rider] >= 0
    holds = problem.orders.holder[pairs.order] == pairs.rider
    rank = np.lexsort((pairs.rider, pairs.order, pairs.cost, ~holds, ~bound))
    chosen, cost, work = _take(pairs, rank, problem)
    return Solution(_assigned(chosen), "greedy", work, cost, "greedy", fallback)


def _take(pairs: Pairs, rank: np.ndarray, problem: Problem) -> tuple[dict[int, list[int]], float, int]:
    """Held orders stay with their rider; others go to a rider that has none."""
    chosen: dict[int, list[int]] = {}
    taken: set[int] = set()
    cost, work = 0.0, 0
    holder = problem.orders.holder
    for i in rank.tolist():
        work += 1
        rider, order = int(pairs.rider[i]), int(pairs.order[i])
        if order in taken or (rider in chosen and holder[order] != rider):
            continue
        chosen.setdefault(rider, []).append(order)
        taken.add(order)
        cost += float(pairs.cost[i])
        if len(taken) == len(holder):
            break
    return chosen, cost + OPEN_S * (len(holder) - len(taken)), work


def _assigned(chosen: dict[int, list[int]]) -> tuple[Assigned, ...]:
    return tuple(Assigned(rider, tuple(orders)) for rider, orders in sorted(chosen.items()))
