"""Matching and packing against brute force on small random cities; the seed is in the test's name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dispatch.engine.matching.assignment import OPEN_S, match, prices
from dispatch.engine.matching.greedy import greedy
from dispatch.engine.matching.pairs import feasible_pairs
from dispatch.engine.matching.solve import STRATEGIES, check, solve
from dispatch.engine.params import STRATEGY_NAMES, SolverParams
from tests.unit.dispatch.engine.matching.worlds import PARAMS, best_trip_cost, brute_force, random_problem, trip_cost


@pytest.mark.parametrize("seed", range(12))
def test_packing_is_the_optimum(seed: int) -> None:
    """Set packing costs what the best of all partitions costs, to the rounding of a second an order."""
    problem = random_problem(seed, riders=3, orders=6)
    solution = solve(problem, PARAMS)
    assert solution.fallback == ""
    assert solution.cost == pytest.approx(brute_force(problem, PARAMS, 3), abs=6.0)


@pytest.mark.parametrize("seed", range(12))
def test_packing_without_bundles_is_the_optimum(seed: int) -> None:
    """With one order a trip it is the best assignment."""
    params = replace(PARAMS, bundles=replace(PARAMS.bundles, max_orders=1))
    problem = random_problem(seed, riders=4, orders=4)
    assert solve(problem, params).cost == pytest.approx(brute_force(problem, params, 1), abs=4.0)


@pytest.mark.parametrize("seed", range(12))
def test_stated_cost_is_the_cost_of_the_answer(seed: int) -> None:
    """Adding up the trips of the answer one by one gives no more than the stated cost."""
    problem = random_problem(seed, riders=4, orders=6)
    solution = solve(problem, PARAMS)
    trips = sum(best_trip_cost(problem, PARAMS, a.rider, a.orders) for a in solution.assigned)
    assert trips <= solution.cost + len(problem.orders.ids)


@pytest.mark.parametrize("seed", range(20))
def test_prices_prove_the_matching(seed: int) -> None:
    """No pair is cheaper than the prices say, and the prices add up to the cost: the matching is optimal."""
    problem = random_problem(seed, riders=12, orders=10, restaurants=4)
    pairs = feasible_pairs(problem, PARAMS)
    open_cost = np.full(10, 5000.0)
    matched = match(problem, pairs.rider, pairs.order, pairs.cost, open_cost)
    price, worth = prices(matched, pairs.rider, pairs.order, pairs.cost, open_cost, 12)
    assert (pairs.cost + worth[pairs.rider] - price[pairs.order] > -1e-3).all()
    assert (worth >= 0).all()
    assert (price <= open_cost + 1e-3).all()
    taken = matched.pair[matched.pair >= 0]
    total = pairs.cost[taken].sum() + open_cost[matched.pair < 0].sum()
    assert price.sum() - worth.sum() == pytest.approx(total, abs=1e-2)


@pytest.mark.parametrize("seed", range(10))
def test_greedy_breaks_no_rule(seed: int) -> None:
    """The fallback's answer passes the check, and costs, open orders included, no less than the optimum."""
    params = replace(PARAMS, solver=SolverParams(strategy="assignment"))
    problem = random_problem(seed, riders=5, orders=8)
    answer = greedy(problem, params)
    check(problem, answer, params)
    best = solve(problem, params)
    assert len(answer.assigned) <= len(best.assigned)
    left_open = len(problem.orders.ids) - len(answer.assigned)
    trips = sum(trip_cost(problem, params, a.rider, a.orders) for a in answer.assigned)
    assert answer.cost == pytest.approx(trips + OPEN_S * left_open)
    assert answer.cost >= best.cost - 1e-6


def test_every_named_strategy_exists() -> None:
    """The names that params allow are those that can be solved with."""
    assert set(STRATEGIES) == set(STRATEGY_NAMES)
