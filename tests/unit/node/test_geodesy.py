"""Distances against known ones, against another formula, across the date line; scalar against vector forms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.geodesy import (
    EARTH_RADIUS_M,
    M_PER_E7,
    MAX_LAT_E7,
    MAX_LNG_E7,
    arcs_m,
    distance_m,
    distances_m,
    flat_distance_m,
    flat_steps_m,
    lng_scale,
    lng_scales,
    points,
    short_turn_e7,
)


@dataclass(frozen=True)
class At:
    lat_e7: int
    lng_e7: int


LA_SERENA, COQUIMBO = At(-299_027_000, -712_520_000), At(-299_533_000, -713_436_000)
BERLIN, PARIS = At(525_200_000, 134_050_000), At(488_566_000, 23_522_000)

_PLACES = st.builds(At, st.integers(-MAX_LAT_E7, MAX_LAT_E7), st.integers(-MAX_LNG_E7, MAX_LNG_E7))
_TOWNS = st.builds(At, st.integers(-600_000_000, 600_000_000), st.integers(-MAX_LNG_E7, MAX_LNG_E7 - 1))
_STEPS = st.integers(-900_000, 900_000)


def vector_of(place: At) -> np.ndarray:
    """On the unit sphere."""
    lat, lng = np.radians(place.lat_e7 / 1e7), np.radians(place.lng_e7 / 1e7)
    return np.array([np.cos(lat) * np.cos(lng), np.cos(lat) * np.sin(lng), np.sin(lat)])


@pytest.mark.parametrize(
    ("a", "b", "metres", "tolerance_m"),
    [
        (At(0, 0), At(10_000_000, 0), 111_195, 1),
        (BERLIN, PARIS, 877_460, 900),
        (LA_SERENA, COQUIMBO, 10_470, 10),
        (At(0, 0), At(0, 1_800_000_000), 20_015_114, 2),
        (At(0, 1_799_000_000), At(0, -1_799_000_000), 22_239, 1),
    ],
    ids=["a degree of latitude", "Berlin to Paris", "La Serena to Coquimbo", "half the way around", "the date line"],
)
def test_known_distances(a: At, b: At, metres: float, tolerance_m: float) -> None:
    """To the metre where the sphere is exact, a thousandth elsewhere."""
    assert distance_m(a, b) == pytest.approx(metres, abs=tolerance_m)


@given(_PLACES, _PLACES)
def test_the_great_circle_by_another_formula(a: At, b: At) -> None:
    """The angle between two vectors, atan2(|a x b|, a . b), is no haversine and sound at every distance."""
    u, v = vector_of(a), vector_of(b)
    angle = float(np.arctan2(np.linalg.norm(np.cross(u, v)), u @ v))
    assert distance_m(a, b) == pytest.approx(EARTH_RADIUS_M * angle, rel=1e-9, abs=0.5)
    assert arcs_m(np.array([np.linalg.norm(u - v)]))[0] == pytest.approx(EARTH_RADIUS_M * angle, rel=1e-9, abs=0.5)


@given(_PLACES, _PLACES)
def test_scalar_and_vector_forms_agree(a: At, b: At) -> None:
    """To a billionth, for int32 columns too."""
    there = points([a, b])
    assert distances_m(there[0], there[1]) == pytest.approx(distance_m(a, b), rel=1e-9, abs=1e-6)
    assert distances_m(there[0].astype(np.int32), there[1].astype(np.int32)) == distances_m(there[0], there[1])
    assert lng_scales(there[:, 0]) == pytest.approx([lng_scale(a.lat_e7), lng_scale(b.lat_e7)], rel=1e-9, abs=1e-12)
    if abs(abs(a.lng_e7 - b.lng_e7) - MAX_LNG_E7) > 1:  # half a turn is the same either way round
        assert flat_steps_m(there) == pytest.approx([flat_distance_m(a, b)], rel=1e-9, abs=1e-6)


@given(_TOWNS, _STEPS, _STEPS)
def test_the_flat_map_is_good_within_a_city(a: At, north: int, east: int) -> None:
    """Ten kilometres either way, up to 60 degrees: a millionth, and the date line is no border."""
    b = At(a.lat_e7 + north, short_turn_e7(a.lng_e7 + east))
    assert flat_distance_m(a, b) == pytest.approx(distance_m(a, b), rel=5e-6, abs=1e-3)


@given(st.integers(-MAX_LNG_E7, MAX_LNG_E7 - 1), st.integers(-3, 3))
def test_a_turn_is_a_turn(lng_e7: int, turns: int) -> None:
    """Whole turns fall away, for numbers and columns."""
    wound = lng_e7 + turns * 2 * MAX_LNG_E7
    assert short_turn_e7(wound) == lng_e7
    assert short_turn_e7(np.array([wound])).tolist() == [lng_e7]


def test_no_place_is_no_row() -> None:
    """Shapes stay (n, 2)."""
    assert points([]).shape == (0, 2)
    assert flat_steps_m(points([LA_SERENA])).shape == (0,)
    assert pytest.approx(0.011119508) == M_PER_E7
