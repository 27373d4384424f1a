"""Figures and solution files of a hand-made history."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from simulator.replay.history import History
from simulator.replay.metrics import measure
from simulator.replay.solution import ASSIGNMENTS, COURIERS, ORDERS, write_solution
from tests.unit.simulator.replay.worlds import its_history, one_courier_two_orders


def test_figures_by_hand() -> None:
    """Click-to-door 17 and 22, picked up when ready; 14 minutes of work and 7 on the road of 60."""
    figures = measure(one_courier_two_orders(), its_history())
    assert figures.orders == 2
    assert figures.undelivered_pct == 0
    assert figures.click_to_door_mean_min == 19.5
    assert figures.click_to_door_p90_min == pytest.approx(21.5)
    assert figures.ready_to_pickup_mean_min == 0
    assert figures.over_max_pct == 0
    assert figures.cost_per_order == 10
    assert figures.orders_per_bundle == 2
    assert figures.utilisation == pytest.approx((2 + 3 + 2 + 4 + 8) / 60, abs=1e-4)
    assert figures.floor_min == pytest.approx(((10 + 3 + 4) + (9 + 5 + 4)) / 2)
    assert figures.undelivered_floor_pct == 0


def test_a_day_without_deliveries() -> None:
    """Nothing delivered is all undelivered, and no division fails; the guarantee is not an order's cost."""
    figures = measure(one_courier_two_orders(), History())
    assert figures.undelivered_pct == 100
    assert figures.click_to_door_mean_min == 0
    assert figures.cost_per_order == 0


@pytest.mark.parametrize(("off", "lost_pct"), [(10, 0), (9, 100)])
def test_who_is_off_too_early_can_fetch_nothing(off: int, lost_pct: float) -> None:
    """Both orders are ready at 10; a courier may still pick up in the minute of going off."""
    instance = one_courier_two_orders()
    early = replace(instance, couriers=tuple(replace(courier, off=off) for courier in instance.couriers))
    assert measure(early, History()).undelivered_floor_pct == lost_pct


def test_files_read_as_the_evaluator_expects(tmp_path: Path) -> None:
    """Three files, byte for byte; an order never carried has nan fields."""
    history = its_history()
    history.pickups[0] = history.pickups[0].__class__(10, "c1", ("o1",))
    del history.drops[1], history.moves[2]
    write_solution(tmp_path / "out", one_courier_two_orders(), history)
    assert (tmp_path / "out" / ASSIGNMENTS).read_text() == ("assignment_time pickup_time courier orders\n6 10 c1 o1\n")
    assert (tmp_path / "out" / ORDERS).read_text() == (
        "order placement_time restaurant ready_time pickup_time dropoff_time courier\n"
        "o1 0 r1 10 10 17 c1\n"
        "o2 1 r1 10 nan nan nan\n"
    )
    assert (tmp_path / "out" / COURIERS).read_text() == (
        "courier departure_time origin destination\nc1 6 c1 r1\nc1 12 r1 o1\n"
    )
