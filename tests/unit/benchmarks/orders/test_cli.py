"""`forno bench orders`: which figures miss their targets."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.orders.cli import placing_figures

WELL = {"placed_per_s": 600.0, "p99_ms": 20.0, "outbox_lag_p99_ms": 58.1, "failed": 0, "missing": 0}


@pytest.mark.parametrize(
    ("at_rate", "flat_out", "met"),
    [
        ({}, {}, True),
        ({}, {"outbox_lag_p99_ms": 4000.0}, True),  # told, no target: sagas may lag flat out
        ({"outbox_lag_p99_ms": 251.0}, {}, False),
        ({"missing": 1}, {}, False),
        ({}, {"missing": 1}, False),
        ({}, {"failed": 1}, False),
    ],
)
def test_a_run_that_lost_an_order_or_was_late_misses_its_target(
    at_rate: dict[str, Any], flat_out: dict[str, Any], met: bool
) -> None:
    """Failed calls, orders without a row, a lag at the rate."""
    figures = placing_figures({"at_rate": WELL | at_rate, "flat_out": WELL | flat_out})
    assert all(figure.met for figure in figures) is met
