"""The models without roads: planar minutes and great circles."""

from __future__ import annotations

from math import isqrt

import numpy as np
import pytest

from dispatch.engine.ports import Points, Seconds
from dispatch.engine.travel.free_flow import FreeFlowTravel
from dispatch.engine.travel.pairs import pair_seconds
from dispatch.engine.travel.planar import E7_PER_M, PlanarTravel, to_point
from node.geodesy import distances_m


class OnlyMatrix:
    """A model that answers by matrix alone."""

    version = "only-matrix"

    def matrix(self, origins: Points, destinations: Points, at_ms: int) -> Seconds:
        return PlanarTravel(300).matrix(origins, destinations, at_ms)


def plane(rng: np.random.Generator, n: int) -> Points:
    """Random places on a 20 km plane, in e7."""
    return rng.integers(-10_000, 10_000, (n, 2)) * E7_PER_M


@pytest.mark.parametrize("metres_per_minute", [1, 7, 320, 427])
def test_planar_minutes_are_exact(metres_per_minute: int) -> None:
    """Whole minutes agree with integer arithmetic on 5,000 random pairs, and on exact multiples."""
    rng = np.random.default_rng(7)
    a, b = plane(rng, 5000), plane(rng, 5000)
    b[:100] = a[:100] + np.array([0, metres_per_minute * E7_PER_M * 3])
    seconds = PlanarTravel(metres_per_minute).pairs(a, b, 0)
    for (y1, x1), (y2, x2), s in zip(a // E7_PER_M, b // E7_PER_M, seconds, strict=True):
        square = int(x1 - x2) ** 2 + int(y1 - y2) ** 2
        root = isqrt(square) + (isqrt(square) ** 2 != square)
        assert s == -(-root // metres_per_minute) * 60


def test_planar_coordinates_come_back() -> None:
    """Metres survive the way to e7 degrees."""
    point = to_point(12_345, -678)
    assert (point.lng_e7 // E7_PER_M, point.lat_e7 // E7_PER_M) == (12_345, -678)


def test_free_flow_is_distance_over_speed() -> None:
    """Detour and speed enter once."""
    a, b = np.array([[0, 0]]), np.array([[0, 900_000]])
    metres = distances_m(a, b)[0]
    assert FreeFlowTravel(5.0, 1.5).pairs(a, b, 0)[0] == pytest.approx(metres * 1.5 / 5.0)


@pytest.mark.parametrize("model", [PlanarTravel(320), FreeFlowTravel(), OnlyMatrix()])
def test_pairs_are_the_diagonal_of_the_matrix(model: PlanarTravel) -> None:
    """Sparse and dense questions agree, whatever the model can answer."""
    rng = np.random.default_rng(3)
    a, b = plane(rng, 40), plane(rng, 8)[rng.integers(0, 8, 40)]
    assert np.array_equal(pair_seconds(model, a, b, 0), model.matrix(a, b, 0).diagonal())
    assert pair_seconds(model, a[:0], b[:0], 0).shape == (0,)
