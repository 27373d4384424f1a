"""The promise of a simplified trail, over random rides: at the time of every fix it is within the stated error."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch.trails.compact import ROUNDING_M
from dispatch.trails.interpolation import places, places_at, points_of
from dispatch.trails.model import MAX_GAP_MS, TrailColumns
from dispatch.trails.simplify import simplified
from node.geodesy import distances_m
from proto.fix_columns import IMPLAUSIBLE_JUMP
from tests.unit.dispatch.trails.worlds import straight, trail

_METRES = st.floats(-2_000, 2_000, allow_nan=False)
_STEPS = st.lists(
    st.tuples(st.sampled_from([0, 1, 500, 1000, 1000, 1000, 5000, 59_000, 61_000, 400_000]), _METRES, _METRES),
    min_size=1,
    max_size=30,
)
#: Riders that hardly move, which is where most is left out.
_CALM = st.lists(
    st.tuples(st.sampled_from([1000, 1000, 2000]), st.floats(-6, 6), st.floats(-6, 6)), min_size=1, max_size=60
)


@settings(max_examples=60, deadline=None)
@given(steps=st.one_of(_STEPS, _CALM), error_m=st.sampled_from([0.5, 5.0, 50.0, 800.0]))
def test_every_fix_is_within_the_error(steps: list[tuple[int, float, float]], error_m: float) -> None:
    """Asked for the moment of any fix, the simplified trail answers within the error of it, and for no other moment."""
    whole = points_of(trail(steps))
    small = simplified(whole, error_m)
    for row, at_ms in enumerate(whole.ts_ms.tolist()):
        there, _, _ = places_at(small, at_ms)
        assert len(there) == 1, "a moment of a fix was lost"
        assert float(distances_m(there, places(whole.take(slice(row, row + 1))))[0]) <= error_m + ROUNDING_M
    for end, begin in zip(whole.ts_ms[:-1].tolist(), whole.ts_ms[1:].tolist(), strict=True):
        if begin - end > MAX_GAP_MS:
            assert len(places_at(small, (end + begin) // 2)[0]) == 0, "silence was filled"


@settings(max_examples=30, deadline=None)
@given(steps=_STEPS, error_m=st.sampled_from([5.0, 50.0]))
def test_what_stays_is_of_the_trail(steps: list[tuple[int, float, float]], error_m: float) -> None:
    """Points are fixes of the trail, in order, each piece keeps its ends, and every fix is counted once."""
    whole = points_of(trail(steps))
    small = simplified(whole, error_m)
    assert set(rows(small)) <= set(rows(whole))
    assert small.ts_ms.tolist() == sorted(set(small.ts_ms.tolist()))
    assert int(small.fixes.sum()) == len(whole)
    for piece in np.unique(whole.piece):
        ends = whole.ts_ms[whole.piece == piece][[0, -1]]
        assert set(ends.tolist()) <= set(small.ts_ms[small.piece == piece].tolist())


def test_an_even_ride_costs_two_points() -> None:
    """An hour straight on, or standing still: its beginning and its end."""
    for speed in (0.0, 8.0):
        small = simplified(points_of(straight(3600, speed)), 1.0)
        assert len(small) == 2
        assert small.fixes.tolist() == [1, 3599]


def test_waiting_is_kept_as_waiting() -> None:
    """A rider who stands for 100 s and then drives is not smeared over the whole time."""
    steps = [(1000, 0.0, 0.0)] * 100 + [(1000, 10.0 * n, 0.0) for n in range(1, 60)]
    small = simplified(points_of(trail(steps)), 5.0)
    there, _, _ = places_at(small, int(small.ts_ms[0]) + 98_000)
    assert float(distances_m(there, places(small.take(slice(0, 1))))[0]) <= 5.0


def test_jumps_are_no_part_of_the_line() -> None:
    """A marked fix is left out; of two at one time the newer counts."""
    fixes = trail([(0, 0, 0), (1000, 50_000, 0), (1000, 2, 0), (0, 3, 0)])
    fixes.flags[1] = IMPLAUSIBLE_JUMP
    points = points_of(fixes)
    assert len(points) == 2
    assert points.lat_e7[1] == fixes.lat_e7[3]


def test_the_short_way_round_the_antimeridian() -> None:
    """Half way between 179.999 and -179.999 degrees is 180, not 0."""
    fixes = trail([(0, 0, 0), (10_000, 0, 0)])
    fixes.lng_e7[:] = (1_799_990_000, -1_799_990_000)
    there, _, _ = places_at(points_of(fixes), int(fixes.ts_ms[0]) + 5_000)
    assert abs(abs(there[0, 1]) - 1_800_000_000) < 2


def rows(points: TrailColumns) -> list[tuple[int, int, int]]:
    """Time and place of each."""
    return list(zip(points.ts_ms.tolist(), points.lat_e7.tolist(), points.lng_e7.tolist(), strict=True))
