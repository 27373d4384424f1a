"""Road travel times: the hierarchy against Dijkstra, and what a time is made of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dispatch.engine.ports import PairwiseTravelTimes, Points
from dispatch.engine.travel import paths
from dispatch.engine.travel.network import BrokenNetwork, RoadNetwork
from dispatch.engine.travel.paths import Dijkstra, Hierarchy, ShortestPaths, shortest_paths
from dispatch.engine.travel.road import RoadParams, RoadTravel
from dispatch.errors import InvalidParams
from node.geodesy import distances_m

LAT_E7, LNG_E7 = -299_000_000, -712_500_000


def network_of(places: list[tuple[int, int]], arcs: list[tuple[int, int, float]]) -> RoadNetwork:
    """Straight arcs (from, to, km/h) between places in metres north and east of a point in La Serena."""
    metre_lng = 1 / np.cos(np.radians(LAT_E7 / 1e7))
    lat = np.array([LAT_E7 + round(north * 89.932) for north, _ in places], np.int32)
    lng = np.array([LNG_E7 + round(east * 89.932 * metre_lng) for _, east in places], np.int32)
    start, end = (np.array([arc[i] for arc in arcs], np.int32) for i in (0, 1))
    nodes = np.stack([lat, lng], axis=1).astype(np.int64)
    both = np.stack([start, end], axis=1).ravel()
    return RoadNetwork(
        node_lat_e7=lat,
        node_lng_e7=lng,
        arc_from=start,
        arc_to=end,
        arc_length_m=distances_m(nodes[start], nodes[end]).astype(np.float32),
        arc_speed_kmh=np.array([arc[2] for arc in arcs], np.float32),
        arc_class=np.zeros(len(arcs), np.uint8),
        shape_start=np.arange(0, 2 * len(arcs) + 1, 2, dtype=np.int32),
        shape_lat_e7=lat[both],
        shape_lng_e7=lng[both],
        source="test",
        attribution="made up",
    )


def random_network(seed: int) -> RoadNetwork:
    """300 places on a ring, so that all reach all, with 900 chords, some of them parallel."""
    rng = np.random.default_rng(seed)
    n = 300
    places = [(int(a), int(b)) for a, b in rng.integers(-4_000, 4_000, (n, 2))]
    ring = [(i, (i + 1) % n, 30.0) for i in range(n)]
    chords = [(int(a), int(b), float(rng.choice([20, 50, 80]))) for a, b in rng.integers(0, n, (900, 2)) if a != b]
    return network_of(places, ring + chords + chords[:50])


@pytest.fixture(scope="module")
def one_way_square() -> RoadNetwork:
    """Four corners 1 km apart, driven one way round: 0 -> 1 -> 2 -> 3 -> 0, at 36 km/h."""
    return network_of([(0, 0), (1000, 0), (1000, 1000), (0, 1000)], [(0, 1, 36), (1, 2, 36), (2, 3, 36), (3, 0, 36)])


def at(network: RoadNetwork, *nodes: int) -> Points:
    return np.stack([network.node_lat_e7[list(nodes)], network.node_lng_e7[list(nodes)]], axis=1).astype(np.int64)


def north_of(points: Points, metres: int) -> Points:
    moved: Points = points + np.array([round(metres * 89.932), 0])
    return moved


PLAIN = RoadParams(speed_factor=1.0, max_speed_kmh=100.0, off_road_mps=4.0)


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_hierarchy_and_dijkstra_give_the_same_times(seed: int) -> None:
    """Every one of 40 x 300 times is equal to the millisecond, and every path adds up to its time."""
    print(f"seed {seed}")
    network = random_network(seed)
    arc_ms = RoadParams().arc_ms(network)
    fast, oracle = Hierarchy(network, arc_ms), Dijkstra(network, arc_ms)
    sources, targets = np.arange(0, 300, 8), np.arange(300)
    times = oracle.milliseconds(sources, targets)
    assert np.array_equal(fast.milliseconds(sources, targets), times)
    for i, source in enumerate(sources[:10].tolist()):
        for target in range(0, 300, 50):
            for implementation in (fast, oracle):
                check_path(network, implementation, source, target, int(times[i, target]), arc_ms)


def check_path(
    network: RoadNetwork, implementation: ShortestPaths, source: int, target: int, ms: int, arc_ms: np.ndarray
) -> None:
    arcs = implementation.arcs(source, target)
    assert arc_ms[arcs].sum() == ms
    passed = [source, *network.arc_to[arcs].tolist()]
    assert network.arc_from[arcs].tolist() == passed[:-1]
    assert passed[-1] == target


def test_without_the_hierarchys_library_dijkstra_answers(
    monkeypatch: pytest.MonkeyPatch, one_way_square: RoadNetwork
) -> None:
    """The model is the same, its version too."""
    model = RoadTravel(one_way_square)
    monkeypatch.setattr(paths, "pyroutingkit", None)
    other = RoadTravel(one_way_square)
    assert isinstance(shortest_paths(one_way_square, RoadParams().arc_ms(one_way_square)), Dijkstra)
    points = at(one_way_square, 0, 1, 2, 3)
    assert np.array_equal(model.matrix(points, points, 0), other.matrix(points, points, 0))
    assert model.version == other.version


def test_one_way_streets_are_obeyed(one_way_square: RoadNetwork) -> None:
    """From corner to corner: 100 s with the traffic, 300 s against it, nothing to where one stands."""
    model = RoadTravel(one_way_square, PLAIN)
    seconds = model.matrix(at(one_way_square, 0, 1), at(one_way_square, 0, 1, 3), 0)
    assert np.allclose(seconds, [[0, 100, 300], [300, 0, 200]], atol=0.5)


def test_places_off_the_road_pay_the_way_to_it(one_way_square: RoadNetwork) -> None:
    """200 m before the first corner and 100 m beyond the second: 50 s + 100 s + 25 s."""
    start = north_of(at(one_way_square, 0), -200)
    end = north_of(at(one_way_square, 1), 100)
    assert RoadTravel(one_way_square, PLAIN).matrix(start, end, 0)[0, 0] == pytest.approx(175, abs=0.5)


def test_within_a_block_nobody_drives_round(one_way_square: RoadNetwork) -> None:
    """80 m apart in the middle of a side: 20 s straight, not by way of a corner 500 m off."""
    middle = north_of(at(one_way_square, 0), 500)
    next_door = north_of(middle, 80)
    assert RoadTravel(one_way_square, PLAIN).matrix(middle, next_door, 0)[0, 0] == pytest.approx(20, abs=0.1)


def test_the_vehicle_limits_the_speed(one_way_square: RoadNetwork) -> None:
    """At 18 km/h the side of the square takes twice as long."""
    slow = RoadTravel(one_way_square, replace(PLAIN, max_speed_kmh=18.0))
    assert slow.matrix(at(one_way_square, 0), at(one_way_square, 1), 0)[0, 0] == pytest.approx(200, abs=0.5)


@pytest.mark.parametrize("pairs", [1, 7, 400])
def test_pairs_are_the_matrixs_diagonal(pairs: int) -> None:
    """Few and many, scattered around the network (seed 9)."""
    rng = np.random.default_rng(9)
    model = RoadTravel(random_network(9))
    assert isinstance(model, PairwiseTravelTimes)
    places = rng.integers(-400_000, 400_000, (2, pairs, 2)) + np.array([LAT_E7, LNG_E7])
    assert np.array_equal(model.pairs(places[0], places[1], 0), np.diagonal(model.matrix(places[0], places[1], 0)))


def test_points_off_the_map_get_a_finite_answer_and_no_points_an_empty_one(
    one_way_square: RoadNetwork,
) -> None:
    """Nothing raises, whatever is asked."""
    model = RoadTravel(one_way_square)
    far = np.array([[480_000_000, 110_000_000]])
    nowhere = np.zeros((0, 2), np.int64)
    assert np.isfinite(model.matrix(far, at(one_way_square, 0), 0)).all()
    assert model.matrix(nowhere, far, 0).shape == (0, 1)
    assert model.pairs(nowhere, nowhere, 0).shape == (0,)


def test_the_version_names_data_and_parameters(one_way_square: RoadNetwork) -> None:
    """Another arc or another parameter is another model; saving and loading is not."""
    version = RoadTravel(one_way_square).version
    faster = replace(one_way_square, arc_speed_kmh=one_way_square.arc_speed_kmh + 1)
    assert RoadTravel(faster).version != version
    assert RoadTravel(one_way_square, PLAIN).version != version


def test_a_saved_network_is_read_back_whole(tmp_path: Path, one_way_square: RoadNetwork) -> None:
    """Arrays, source and attribution survive the file, and so does the version."""
    one_way_square.save(tmp_path / "deep" / "net.npz")
    again = RoadNetwork.load(tmp_path / "deep" / "net.npz")
    assert again.version() == one_way_square.version()
    assert (again.source, again.attribution) == ("test", "made up")
    assert RoadTravel.load(tmp_path / "deep" / "net.npz").version == RoadTravel(one_way_square).version


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04 broken"])
def test_a_broken_file_is_named(tmp_path: Path, content: bytes) -> None:
    """Half a file, or another one, raises `BrokenNetwork` with its path."""
    path = tmp_path / "net.npz"
    path.write_bytes(content)
    with pytest.raises(BrokenNetwork, match=r"net\.npz"):
        RoadNetwork.load(path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("speed_factor", 0.0),
        ("speed_factor", 3.0),
        ("speed_factor", float("nan")),
        ("max_speed_kmh", 0.0),
        ("max_speed_kmh", 400.0),
        ("off_road_mps", 0.0),
        ("off_road_mps", -1.0),
    ],
)
def test_parameters_out_of_range_are_refused(field: str, value: float) -> None:
    """The message names the parameter."""
    with pytest.raises(InvalidParams, match=field):
        RoadParams(**{field: value})
