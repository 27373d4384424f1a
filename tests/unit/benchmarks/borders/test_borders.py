"""A small town cut in two: borrowing wins back nearly all that the border costs, and breaks no rule."""

from __future__ import annotations

import pytest

from benchmarks.borders.cli import cut, summarise
from benchmarks.borders.town import town

#: Eight couriers and whole minutes: one order that waits a minute more is half a percent. The bench's towns are bigger.
SMALL_TOWN_LOST_PCT = 5.0


@pytest.mark.prove
def test_a_border_costs_little_when_riders_are_borrowed() -> None:
    """All is delivered, as in the uncut town and little later; without borrowing a quarter is not."""
    (row,) = cut(town(1, orders=40, minutes=200), ("x",))
    lost, undelivered, broken = summarise([row])
    assert row.loans > 0
    assert broken.met
    assert lost.value <= SMALL_TOWN_LOST_PCT
    assert undelivered.value == 0
    assert undelivered.peer is not None
    assert undelivered.peer > 20
