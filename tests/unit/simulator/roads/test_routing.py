"""Riders' ways along the roads."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import numpy as np
import pytest

from dispatch.engine.travel.network import RoadNetwork
from dispatch.engine.travel.road import RoadParams, RoadTravel
from shard_router.cities.catalogue import load_cities
from simulator.city.model import Place
from simulator.roads.build import build_network
from simulator.roads.grid import grid_links
from simulator.roads.routing import RoadWays, places_in


@pytest.fixture(scope="module")
def network() -> RoadNetwork:
    return build_network(grid_links(3), "grid", "nobody")


def anywhere(network: RoadNetwork, random: Random) -> Place:
    """A place within 100 m of a junction."""
    node = random.randrange(network.node_count)
    return Place(
        int(network.node_lat_e7[node]) + random.randint(-9_000, 9_000),
        int(network.node_lng_e7[node]) + random.randint(-9_000, 9_000),
    )


def test_a_trip_takes_what_the_travel_model_says(network: RoadNetwork) -> None:
    """For 60 random pairs (seed 4) the drive lasts as long as road travel times predict."""
    random = Random(4)
    params = RoadParams(speed_factor=0.7)
    ways, model = RoadWays(network, params), RoadTravel(network, params)
    for _ in range(60):
        start, end = anywhere(network, random), anywhere(network, random)
        points = np.array([(start.lat_e7, start.lng_e7), (end.lat_e7, end.lng_e7)])
        expected = model.matrix(points[:1], points[1:], 0)[0, 0]
        assert ways.trip(start, end).duration_s == pytest.approx(expected, rel=2e-3, abs=0.5)


def test_a_trip_begins_and_ends_where_asked_and_times_rise(network: RoadNetwork) -> None:
    """No step back in time, no leg faster than the vehicle or longer than an arc of this network."""
    random = Random(5)
    ways = RoadWays(network, RoadParams(max_speed_kmh=40))
    for _ in range(40):
        start, end = anywhere(network, random), anywhere(network, random)
        trip = ways.trip(start, end)
        assert (trip.places[0], trip.end) == (start, end)
        for (a, b), (s, t) in zip(pairwise(trip.places), pairwise(trip.at_s), strict=True):
            assert t > s
            assert a.distance_m(b) / (t - s) < 40 / 3.6 * 1.01
            assert a.distance_m(b) < 250


def test_a_rider_on_the_way_is_on_a_road(network: RoadNetwork) -> None:
    """Half way through, the pose is close to a junction of a grid of 140 m blocks, and moving."""
    random = Random(6)
    start, end = anywhere(network, random), anywhere(network, random)
    trip = RoadWays(network).trip(start, end)
    pose = trip.pose(trip.duration_s / 2)
    nodes = zip(network.node_lat_e7.tolist(), network.node_lng_e7.tolist(), strict=True)
    assert min(pose.at.distance_m(Place(*node)) for node in nodes) < 90
    assert pose.speed_mps > 3


def test_next_door_is_reached_straight(network: RoadNetwork) -> None:
    """Two places of one block are two points, and no way at all is none."""
    place = anywhere(network, Random(7))
    next_door = Place(place.lat_e7 + 2_000, place.lng_e7)
    ways = RoadWays(network)
    assert ways.trip(place, next_door).places == (place, next_door)
    assert ways.trip(place, place).duration_s == 0


def test_each_city_has_its_own_places(network: RoadNetwork) -> None:
    """The junctions of the network are shared out among La Serena and Coquimbo, none left over."""
    north, south = (places_in(network, city) for city in load_cities()[:2])
    assert len(north) + len(south) == network.node_count
    assert not set(north) & set(south)
