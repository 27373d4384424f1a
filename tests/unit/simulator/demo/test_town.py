"""The two cities of the demo, on generated roads."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from dispatch.engine.travel.network import RoadNetwork
from shard_router.cities.catalogue import NO_CITY, CityLookup, load_cities
from simulator.city.scenario import SimulatedCity
from simulator.demo.town import SHARES, fix_period_s, start_of_evening, two_cities
from simulator.roads import grid
from simulator.roads.build import build_network

SANTIAGO = ZoneInfo("America/Santiago")
EVENING_MS = start_of_evening(round(datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp() * 1000), SANTIAGO)


@pytest.fixture(scope="module")
def network() -> RoadNetwork:
    """The grid that stands in where the real roads cannot be had."""
    return build_network(grid.grid_links(1), grid.SOURCE, grid.ATTRIBUTION)


@pytest.fixture(scope="module")
def cities(network: RoadNetwork) -> tuple[SimulatedCity, ...]:
    """Forty riders, a hundred orders an hour."""
    return two_cities(network, riders=40, orders_per_hour=100, seed=1, speed=30, now_ms=EVENING_MS)


def test_both_cities_live(cities: tuple[SimulatedCity, ...]) -> None:
    """Each has its share of the riders, all with ids of their own, all on shift at dinner."""
    assert [city.city for city in cities] == list(SHARES)
    ids = [rider.profile.rider_id for city in cities for rider in city.riders]
    assert sorted(ids) == list(range(1, 41))
    for city in cities:
        for rider in city.riders:
            rider.step(EVENING_MS)
            assert rider.working


def test_everything_lies_in_its_city(cities: tuple[SimulatedCity, ...]) -> None:
    """Restaurants, homes of riders and drop-offs are on the city's own ground."""
    lookup = CityLookup(load_cities())
    for city in cities:
        drops = [city.customers.order().dropoff for _ in range(20)]
        homes = [rider.profile.home for rider in city.riders]
        for place in (*(restaurant.at for restaurant in city.restaurants), *homes, *drops):
            (found,) = lookup.find(np.array([place.lat_e7]), np.array([place.lng_e7]))
            assert found != NO_CITY
            assert lookup.cities[found].slug == city.city


def test_the_evening_is_local() -> None:
    """Ten to eight in Santiago, whatever the hour of the machine."""
    assert datetime.fromtimestamp(EVENING_MS / 1000, SANTIAGO).strftime("%H:%M") == "19:50"


def test_fixes_are_never_stale_at_any_speed() -> None:
    """Two a wall second at most, one a domain second at most, and well within a minute of the domain clock."""
    assert [fix_period_s(speed) for speed in (1, 30, 60)] == [1.0, 15.0, 30.0]
