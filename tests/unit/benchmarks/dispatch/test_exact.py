"""Packing beside the proven optimum on random cities, two restaurants a trip allowed; the seed is in the name."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.dispatch import exact as bench
from benchmarks.dispatch.exact import SIDE_E7, Sample, everything, optimum, packed
from benchmarks.dispatch.snapshot import NOW_MS, snapshot, warm
from dispatch.engine.matching.greedy import greedy
from dispatch.engine.matching.packing import busy_price
from dispatch.engine.matching.packing_columns import columns_of
from dispatch.engine.matching.solve import solve
from dispatch.engine.matching.waves import waves
from dispatch.engine.params import EngineParams


@pytest.mark.parametrize("seed", range(8))
def test_packing_costs_no_more_than_the_optimum(seed: int) -> None:
    """Over the same trips; a quarter of a percent is for the rounding to seconds and for columns left out."""
    rng = np.random.default_rng(seed)
    orders = int(rng.integers(15, 40))
    riders = int(orders * rng.choice([0.5, 0.8, 1.2, 1.7]))
    params = EngineParams()
    city = snapshot(
        orders, riders, max(1, orders // int(rng.integers(3, 8))), int(rng.choice([400_000, 800_000])), seed
    )
    warm(city, params)
    problem = city.problem(params)
    answer = solve(problem, params)
    assert answer.fallback == ""
    exact, bound = optimum(
        problem, columns_of(problem, params, busy_price(problem, params.cost)), waves(problem, params)
    )
    assert exact == pytest.approx(bound, rel=1e-4)
    assert answer.cost <= exact * 1.0025


def test_two_counters_on_one_way_pay_where_riders_are_few() -> None:
    """In a dense town with many small restaurants and few riders some trip fetches at two restaurants."""
    params = EngineParams()
    city = snapshot(40, 16, 60, 150_000, seed=1)
    warm(city, params)
    answer = solve(city.problem(params), params)
    assert any(a.link >= 0 for a in answer.assigned)


def test_however_few_the_riders_each_is_given_something() -> None:
    """Ten orders a rider, ready now: everybody sets out, the rest waits."""
    params = EngineParams()
    city = snapshot(60, 6, 10, 400_000, seed=2)
    problem = city.problem(params, NOW_MS + 2_400_000)
    answer = solve(problem, params)
    assert len(answer.assigned) == len(problem.riders.ids)


SMALL = {
    "a counter with more orders than are combined": Sample("dense", 24, 10, 1, seed=1),
    "riders on their way who may lose an order": Sample("rebundle", 30, 15, 5, seed=2, rebundle=True),
}


@pytest.mark.parametrize("label", SMALL)
def test_what_a_tick_leaves_out_costs_little(label: str) -> None:
    """Beside every trip there is, not only those that a tick looks at, ours costs at most 1 % more."""
    found = packed(SMALL[label])
    assert found.proven
    assert found.gap_pct < 1.0


@pytest.mark.parametrize("label", SMALL)
def test_the_exact_side_looks_at_more(label: str) -> None:
    """It has trips that the tick has not; with `rebundle` somebody is on its way."""
    sample = SMALL[label]
    params = EngineParams(rebundle=sample.rebundle)
    city = snapshot(sample.orders, sample.riders, sample.restaurants, SIDE_E7, sample.seed)
    warm(city, params)
    problem = city.problem(params)
    full, columns, _ = everything(city, params)
    ours = columns_of(problem, params, busy_price(problem, params.cost))
    assert (full.orders.ids, full.riders.ids) == (problem.orders.ids, problem.riders.ids)
    assert len(columns.rider) > len(ours.rider)
    assert (problem.orders.holder >= 0).any() == sample.rebundle


def test_a_fallback_is_no_answer_to_compare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Greedy in the engine's place is an error, not a gap."""
    monkeypatch.setattr(bench, "solve", lambda problem, params: greedy(problem, params, "raised: no luck"))
    with pytest.raises(RuntimeError, match="no luck"):
        packed(SMALL["a counter with more orders than are combined"])
