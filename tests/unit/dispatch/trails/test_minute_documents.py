"""The middle of a minute's fixes."""

from __future__ import annotations

import numpy as np
import pytest

from dispatch.trails.minute_documents import middle
from tests.unit.dispatch.trails.worlds import straight


@pytest.mark.parametrize(
    ("lngs_e7", "mid_lng"),
    [
        ([100_000_000, 100_020_000], 10.001),
        ([1_799_990_000, -1_799_990_000], -180.0),
        ([-1_799_990_000, 1_799_970_000], 179.999),
    ],
    ids=["anywhere", "over the date line", "back over the date line"],
)
def test_the_middle_lies_between_the_fixes(lngs_e7: list[int], mid_lng: float) -> None:
    """Also where the longitude jumps from 180 to -180: what is within some 150 m is not taken for half the earth."""
    fixes = straight(2, 0.0)
    fixes.lat_e7[:] = 0
    fixes.lng_e7[:] = np.array(lngs_e7)
    lng, lat, reach_m = middle(fixes)
    assert lat == 0.0
    assert lng == pytest.approx(mid_lng, abs=1e-6)
    assert 110 < reach_m < 250
