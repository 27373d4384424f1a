"""From links to a network: what is kept, and how long and fast it is."""

from __future__ import annotations

import sqlite3
import struct
from pathlib import Path

import numpy as np
import pytest

from simulator.roads.build import Link, NoRoads, build_network
from simulator.roads.coquimbo import line_string_e7, read_links
from simulator.roads.grid import grid_links

LAT, LNG = -299_000_000, -712_500_000


def link(a: int, b: int, *, backward: bool = True, speed: float | None = None, road_class: str = "primary") -> Link:
    """A road from place `a` to place `b`, on a line with a bend half way."""
    shape = [(LAT + a * 1000, LNG), (LAT + (a + b) * 500, LNG + 300), (LAT + b * 1000, LNG)]
    return Link(a, b, road_class, np.array(shape, np.int32), speed, True, backward)


def test_a_two_way_road_is_two_arcs_with_mirrored_shapes() -> None:
    """Either way has its own shape, from its own beginning."""
    network = build_network([link(1, 2)], "test", "nobody")
    assert (network.node_count, network.arc_count) == (2, 2)
    there, back = (network.shape_lat_e7[network.shape_start[i] : network.shape_start[i + 1]] for i in (0, 1))
    assert there.tolist() == back.tolist()[::-1]
    for arc in (0, 1):
        first = network.shape_start[arc]
        assert network.shape_lat_e7[first] == network.node_lat_e7[network.arc_from[arc]]


def test_lengths_follow_the_bends() -> None:
    """Two legs of 55.6 m north each, with a bend of 2.9 m to the side."""
    network = build_network([link(1, 11)], "test", "nobody")
    north, east = 5 * 1000 * 0.0111195, 300 * 0.0111195 * np.cos(np.radians(29.9))
    assert network.arc_length_m[0] == pytest.approx(2 * np.hypot(north, east), rel=1e-4)


def test_a_long_road_is_cut_so_that_a_node_is_never_far() -> None:
    """310 m with a bend become three arcs each way, all of the road's length and on its line."""
    long = Link(
        1, 2, "primary", np.array([(LAT, LNG), (LAT + 20_000, LNG), (LAT + 20_000, LNG + 9_000)]), None, True, True
    )
    network = build_network([long], "test", "nobody")
    assert (network.node_count, network.arc_count) == (4, 6)
    whole_m = (20_000 + 9_000 * np.cos(np.radians(29.9))) * 0.0111195
    assert network.arc_length_m == pytest.approx(np.full(6, whole_m / 3), rel=1e-3)
    assert ((network.shape_lng_e7 == LNG) | (network.shape_lat_e7 == LAT + 20_000)).all()


def test_only_what_is_strongly_connected_is_kept() -> None:
    """A dead-end one-way street, a loop and an island are dropped; the rest still reaches all of itself."""
    links = [link(1, 2), link(2, 3), link(3, 1), link(3, 4, backward=False), link(2, 2), link(8, 9)]
    network = build_network(links, "test", "nobody")
    assert (network.node_count, network.arc_count) == (3, 6)
    assert sorted(network.node_lat_e7.tolist()) == [LAT + 1000, LAT + 2000, LAT + 3000]


def test_a_missing_speed_is_that_of_the_class() -> None:
    """A known limit stays, an unknown one is usual for the road."""
    links = [link(1, 2, speed=70), link(2, 3, road_class="residential")]
    assert build_network(links, "test", "nobody").arc_speed_kmh.tolist() == [70, 70, 30, 30]


def test_no_roads_are_refused() -> None:
    """There is no network of nothing, nor of loops."""
    with pytest.raises(NoRoads, match="test"):
        build_network([link(1, 1)], "test", "nobody")


def test_the_grid_city_is_seeded_and_large() -> None:
    """Equal seeds make equal cities, other seeds others; nearly all corners are connected."""
    networks = [build_network(grid_links(seed, 30, 20), "grid", "nobody") for seed in (1, 1, 2)]
    assert networks[0].version() == networks[1].version() != networks[2].version()
    assert networks[0].node_count > 0.9 * 600


LINKS_TABLE = "CREATE TABLE links (link_id, a_node, b_node, direction, modes, link_type, speed_ab, speed_ba, geometry)"


def blob(points: list[tuple[float, float]]) -> bytes:
    """A SpatiaLite line string of (lng, lat)."""
    header = struct.pack("<BBi4dBii", 0, 1, 4326, 0, 0, 0, 0, 0x7C, 2, len(points))
    return header + b"".join(struct.pack("<2d", *point) for point in points) + b"\xfe"


def test_a_spatialite_line_is_read_without_spatialite() -> None:
    """Longitude comes first in the file, latitude first in ours."""
    assert line_string_e7(blob([(-71.25, -29.9), (-71.26, -29.91)])).tolist() == [
        [-299_000_000, -712_500_000],
        [-299_100_000, -712_600_000],
    ]


@pytest.mark.parametrize("damage", [b"", b"\xfe", bytes(10)])
def test_another_geometry_is_refused(damage: bytes) -> None:
    """A blob with bytes too many is no line string of ours."""
    good = blob([(1, 2), (3, 4)])
    with pytest.raises(ValueError, match="no little-endian line string"):
        line_string_e7(good[:-1] + damage + b"\x00")


def test_links_are_read_from_the_projects_database(tmp_path: Path) -> None:
    """Directions, classes and speeds as the columns say; paths without cars and connectors are left out."""
    database = tmp_path / "project_database.sqlite"
    line = blob([(-71.25, -29.9), (-71.26, -29.91)])
    rows = [
        (1, 10, 20, 0, "ct", "primary", 60, None, line),
        (2, 20, 30, 1, "ct", "residential", None, "", line),
        (3, 30, 10, -1, "c", "residential", "", 40, line),
        (4, 10, 30, 0, "wb", "residential", None, None, line),
        (5, 10, 30, 0, "c", "centroid_connector", None, None, line),
    ]
    with sqlite3.connect(database) as connection:
        connection.execute(LINKS_TABLE)
        connection.executemany("INSERT INTO links VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    connection.close()
    links = list(read_links(database))
    assert [(a.a, a.b, a.forward, a.backward, a.speed_kmh) for a in links] == [
        (10, 20, True, True, 60),
        (20, 30, True, False, None),
        (30, 10, False, True, 40),
    ]
