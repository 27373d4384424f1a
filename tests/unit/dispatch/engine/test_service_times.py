"""The timeline at a stop, for numbers and columns."""

from __future__ import annotations

import numpy as np
import pytest

from dispatch.engine.model import StopKind
from dispatch.engine.params import ServiceParams
from dispatch.engine.service_times import half_ms, half_s, handover, handovers_s, until_left_s

TWO_MINUTES = ServiceParams(pickup_s=120.0, dropoff_s=90.5)


@pytest.mark.parametrize(
    ("ready", "expected"),
    [(None, 160), (100, 160), (160, 160), (161, 161), (400, 400)],
    ids=["a door", "ready at arrival", "ready just in time", "ready a second late", "the rider waits"],
)
def test_food_changes_hands_after_half_the_service_and_when_it_is_ready(ready: int | None, expected: int) -> None:
    """Arrival at 100, half a service of 60."""
    assert handover(100, 60, ready) == expected


def test_columns_are_the_same_as_numbers() -> None:
    """Vector and scalar form, to the bit."""
    rng = np.random.default_rng(0)
    arrive, ready = rng.uniform(-500, 3000, 1000), rng.uniform(-500, 3000, 1000)
    rows = list(zip(arrive.tolist(), ready.tolist(), strict=True))
    assert handovers_s(arrive, 45.25, ready).tolist() == [handover(a, 45.25, r) for a, r in rows]
    assert handovers_s(arrive, 45.25).tolist() == [handover(a, 45.25) for a, _ in rows]


def test_halves_of_both_kinds_of_service() -> None:
    """Counter and door, in seconds and whole milliseconds."""
    assert (half_s(StopKind.PICKUP, TWO_MINUTES), half_s(StopKind.DROP, TWO_MINUTES)) == (60.0, 45.25)
    assert (half_ms(StopKind.PICKUP, TWO_MINUTES), half_ms(StopKind.DROP, TWO_MINUTES)) == (60_000, 45_250)


def test_a_rider_is_still_at_the_counter_for_half_a_service() -> None:
    """Of the last pickup; afterwards, and with nothing picked up, it is on its way."""
    assert until_left_s([1_000, 40_000], 70_000, 60.0) == 30.0
    assert until_left_s([1_000], 70_000, 60.0) == 0.0
    assert until_left_s([], 70_000, 60.0) == 0.0
