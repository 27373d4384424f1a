"""Moving along a line."""

from __future__ import annotations

import pytest

from simulator.city.model import Place
from simulator.city.motion import Trip, straight
from tests.unit.simulator.city.worlds import street


def test_half_way_is_in_the_middle() -> None:
    """After half the time at even speed, half the way is done, at that speed, northbound."""
    pose = straight((street(0), street(1)), 10).pose(50)
    assert pose.at.distance_m(street(0.5)) < 0.02
    assert pose.speed_mps == pytest.approx(10, rel=1e-6)
    assert pose.heading_deg == 0


def test_a_corner_changes_the_heading() -> None:
    """Each leg has its own heading: north, then east."""
    trip = straight((street(0), street(1), Place(street(1).lat_e7, 100_000)), 10)
    assert [trip.pose(s).heading_deg for s in (50, 150)] == [0, pytest.approx(90)]


def test_the_end_is_a_rest() -> None:
    """Beyond the end the traveller stands there and keeps its heading."""
    pose = straight((street(0), street(1)), 10).pose(1e6)
    assert (pose.at, pose.speed_mps, pose.heading_deg) == (street(1), 0, 0)


def test_a_trip_to_where_one_is_takes_no_time() -> None:
    """Start and end may be one place."""
    trip = straight((street(1), street(1)), 10)
    assert trip.duration_s == 0
    assert trip.pose(0).at == street(1)


def test_slowed_takes_longer_on_the_same_way() -> None:
    """Twice as slow is at the same place after twice the time."""
    trip = straight((street(0), street(1)), 10)
    assert trip.slowed(2).pose(100).at == trip.pose(50).at


def test_places_and_times_must_match() -> None:
    """A trip with more places than times is refused."""
    with pytest.raises(ValueError, match="as many times as places"):
        Trip((street(0), street(1)), (0.0,))
