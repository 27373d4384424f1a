"""A small town cut in two: borrowing wins back nearly all that the border costs, and breaks no rule."""

from __future__ import annotations

from benchmarks.borders.cli import TARGET_LOST_PCT, cut, summarise
from benchmarks.borders.town import town


def test_a_border_costs_little_when_riders_are_borrowed() -> None:
    """Mean click-to-door is within the target; without borrowing it is far from it."""
    rows = cut(town(2, orders=30, minutes=240), ("x",))
    assert all(row.violations == 0 for row in rows)
    assert all(row.loans > 0 for row in rows)
    lost, _, broken = summarise(rows)
    assert lost.met
    assert broken.met
    assert lost.peer is not None
    assert lost.value <= TARGET_LOST_PCT < lost.peer
