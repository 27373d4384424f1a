"""Nearest riders against brute force, and which riders count at all."""

from __future__ import annotations

import numpy as np
import pytest

from dispatch.positions import RiderPositions
from tests.unit.dispatch.positions.worlds import LA_SERENA, brute_force_m, fixes, scattered

NOW_MS = 1_000_000
LONDON = (515_000_000, -1_200_000)
ON_A_FACE_EDGE = (-100_000_000, -641_000_000)  # two icosahedron faces meet in this rectangle
ANTIMERIDIAN = (-180_000_000, 1_799_990_000)
NEAR_THE_POLE = (899_000_000, 0)


@pytest.mark.parametrize(
    ("name", "centre", "spread_e7", "riders"),
    [
        ("a dense city", LA_SERENA, 100_000, 4000),
        ("a sparse city", LA_SERENA, 3_000_000, 40),
        ("all in one street", LONDON, 2_000, 500),
        ("across a face's edge", ON_A_FACE_EDGE, 20_000_000, 1500),
        ("a continent", LONDON, 60_000_000, 300),
        ("half the world", (0, 0), 250_000_000, 300),
        ("on the date line", ANTIMERIDIAN, 100_000, 300),
        ("at the pole", NEAR_THE_POLE, 300_000, 300),
        ("two riders", LA_SERENA, 100_000, 2),
    ],
)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nearest_equals_brute_force(name: str, centre: tuple[int, int], spread_e7: int, riders: int, seed: int) -> None:
    """For random places in and around the city the k nearest are those of a full scan, in its order."""
    print(f"{name}, seed {seed}")
    rng = np.random.default_rng(seed)
    batch = scattered(rng, riders, centre, spread_e7, NOW_MS)
    wrapped = (batch.lng_e7.astype(np.int64) + 1_800_000_000) % 3_600_000_000 - 1_800_000_000
    batch.lng_e7[:] = wrapped
    np.clip(batch.lat_e7, -900_000_000, 900_000_000, out=batch.lat_e7)
    positions = RiderPositions()
    positions.apply(batch)
    snapshot = positions.snapshot(NOW_MS)
    places = 60
    lat = np.clip(rng.normal(centre[0], 1.5 * spread_e7, places), -9e8, 9e8).astype(np.int64)
    lng = rng.normal(centre[1], 1.5 * spread_e7, places).astype(np.int64)
    for k in (1, 7, 40):
        found = snapshot.nearest(lat, lng, k)
        for i in range(places):
            distance = brute_force_m(snapshot, int(lat[i]), int(lng[i]))
            expected = np.sort(distance)[:k]
            assert np.allclose(found.distance_m[i, : len(expected)], expected, rtol=1e-9, atol=1e-3)
            assert np.allclose(distance[found.index[i, : len(expected)]], expected, rtol=1e-9, atol=1e-3)
            assert (found.index[i, len(expected) :] == -1).all()
            assert np.isinf(found.distance_m[i, len(expected) :]).all()


def test_equal_distances_go_by_rider_id_at_the_brink_too() -> None:
    """Twenty riders wait at one door: the three with the lowest ids are named, in any order of arrival."""
    rng = np.random.default_rng(5)
    rows = [(int(rider), 1, 1, NOW_MS, *LA_SERENA) for rider in rng.permutation(np.arange(100, 120))]
    positions = RiderPositions()
    positions.apply(fixes(rows))
    lat, lng = np.array([LA_SERENA[0] + 500]), np.array([LA_SERENA[1]])
    assert positions.snapshot(NOW_MS).nearest(lat, lng, 3).rider_ids.tolist() == [[100, 101, 102]]


def test_a_stale_rider_is_nobodys_nearest_and_every_answer_has_its_age() -> None:
    """A fix of 60 s is still used, one a millisecond older is not."""
    positions = RiderPositions()
    positions.apply(
        fixes(
            [
                (1, 1, 1, NOW_MS - 60_001, *LA_SERENA),
                (2, 1, 1, NOW_MS - 60_000, *LA_SERENA),
                (3, 1, 1, NOW_MS, 0, 0),
            ]
        )
    )
    found = positions.snapshot(NOW_MS).nearest(np.array([LA_SERENA[0]]), np.array([LA_SERENA[1]]), 3)
    assert found.rider_ids[found.index >= 0].tolist() == [2, 3]
    assert found.age_ms[0, :2].tolist() == [60_000, 0]


def test_only_some_riders_can_be_asked_for() -> None:
    """The nearest idle rider is found though a busy one is nearer."""
    positions = RiderPositions()
    positions.apply(fixes([(1, 1, 1, NOW_MS, *LA_SERENA), (2, 1, 1, NOW_MS, LA_SERENA[0] + 9_000, LA_SERENA[1])]))
    snapshot = positions.snapshot(NOW_MS)
    idle = snapshot.only(snapshot.rider_ids != 1)
    assert idle.nearest(np.array([LA_SERENA[0]]), np.array([LA_SERENA[1]]), 1).rider_ids.tolist() == [[2]]


def test_a_snapshot_stays_as_it_was_taken() -> None:
    """Riders who move on later are bucketed anew in the next snapshot only."""
    positions = RiderPositions()
    positions.apply(fixes([(1, 1, 1, NOW_MS, *LA_SERENA)]))
    before = positions.snapshot(NOW_MS)
    positions.apply(fixes([(1, 1, 2, NOW_MS, LA_SERENA[0] + 900_000, LA_SERENA[1])]))
    here = np.array([LA_SERENA[0]]), np.array([LA_SERENA[1]])
    assert before.nearest(*here, 1).distance_m[0, 0] < 1e-3
    assert positions.snapshot(NOW_MS).nearest(*here, 1).distance_m[0, 0] == pytest.approx(10_007.6, abs=1)


def test_moving_riders_are_found_where_they_went() -> None:
    """After many rounds of partial moves, seed 8, the buckets still agree with brute force."""
    rng = np.random.default_rng(8)
    positions = RiderPositions()
    lat, lng = np.array([LA_SERENA[0]]), np.array([LA_SERENA[1]])
    for seq in range(1, 12):
        batch = scattered(rng, 800, LA_SERENA, 200_000, NOW_MS).take(rng.random(800) < 0.4)
        batch.seq[:] = seq
        positions.apply(batch)
        snapshot = positions.snapshot(NOW_MS)
        found = snapshot.nearest(lat, lng, 12).distance_m[0]
        assert np.allclose(found, np.sort(brute_force_m(snapshot, *LA_SERENA))[:12], atol=1e-3)


def test_a_crowd_gathers_and_disperses() -> None:
    """3,000 riders draw together within 300 m and go apart again (seed 12): finer cells and back, right throughout."""
    rng = np.random.default_rng(12)
    positions = RiderPositions()
    lat, lng = LA_SERENA[0] + rng.integers(-9_000, 9_000, 30), LA_SERENA[1] + rng.integers(-9_000, 9_000, 30)
    fineness = []
    for seq, spread_e7 in enumerate((300_000, 60_000, 3_000, 60_000, 300_000), start=1):
        batch = scattered(rng, 3000, LA_SERENA, spread_e7, NOW_MS)
        batch.seq[:] = seq
        positions.apply(batch)
        snapshot = positions.snapshot(NOW_MS)
        fineness.append(snapshot.order.lattice.fineness)
        found = snapshot.nearest(lat, lng, 9).distance_m
        for i in range(30):
            distances = np.sort(brute_force_m(snapshot, int(lat[i]), int(lng[i])))[:9]
            assert np.allclose(found[i], distances, rtol=1e-9, atol=1e-3)
    assert fineness[2] > fineness[1] >= fineness[0] == fineness[4] == 1


def test_asking_for_no_rider_is_refused() -> None:
    """k is at least one."""
    with pytest.raises(ValueError, match="k must be"):
        RiderPositions().snapshot(NOW_MS).nearest(np.array([0]), np.array([0]), 0)
