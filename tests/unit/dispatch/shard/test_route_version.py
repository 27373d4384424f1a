"""Versions of routes: one number that only grows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.shard.route_version import RouteVersion

_TICKS = st.integers(0, (1 << 32) - 1)


@given(_TICKS, _TICKS, _TICKS, _TICKS)
def test_numbers_are_ordered_as_the_versions(home: int, borrower: int, later_home: int, later_borrower: int) -> None:
    """And every number is one version."""
    one, other = RouteVersion(home, borrower), RouteVersion(later_home, later_borrower)
    assert (int(one) < int(other)) == (one < other)
    assert RouteVersion.of(int(one)) == one


def test_a_route_grows_when_lent_and_when_back_home() -> None:
    """Home's tick 7, lent in tick 8 to a city that is in tick 3 and then 4, back home in tick 9."""
    story = [RouteVersion(7), RouteVersion(3).lent_by(8), RouteVersion(4).lent_by(8), RouteVersion(9)]
    assert [int(version) for version in story] == [7 << 32, (8 << 32) + 3, (8 << 32) + 4, 9 << 32]
    assert story == sorted(story)


@pytest.mark.parametrize("ticks", [(-1, 0), (0, -1), (1 << 32, 0), (0, 1 << 32)])
def test_a_tick_that_does_not_fit_is_refused(ticks: tuple[int, int]) -> None:
    """It would spill into the other half."""
    with pytest.raises(ValueError, match="tick must be within"):
        RouteVersion(*ticks)
