"""Cells in bulk against the H3 library."""

from __future__ import annotations

import h3.api.basic_int as h3
import numpy as np
import pytest

from shard_router.cities.hexgrid import RESOLUTION, cell_keys, keys_of_cells

EDGE = (-10.0, -64.1)  # near an edge between two icosahedron faces
PENTAGON = tuple(h3.cell_to_latlng(h3.get_pentagons(RESOLUTION)[3]))


@pytest.mark.parametrize(
    ("name", "centre", "spread"),
    [
        ("the whole earth", None, 0.0),
        ("La Serena", (-29.95, -71.25), 0.05),
        ("null island", (0.0, 0.0), 0.05),
        ("an edge of two faces", EDGE, 2.0),
        ("a pentagon", PENTAGON, 0.01),
        ("the pole", (89.99, 0.0), 0.01),
    ],
)
def test_keys_group_points_as_the_library_does(name: str, centre: tuple[float, float] | None, spread: float) -> None:
    """20,000 random points: the key of a point is the key of the cell that the library gives it."""
    seed = 20261
    print(f"{name}, seed {seed}")
    rng = np.random.default_rng(seed)
    n = 20_000
    if centre is None:
        lat, lng = np.degrees(np.arcsin(rng.uniform(-1, 1, n))), rng.uniform(-180, 180, n)
    else:
        lat, lng = np.clip(rng.normal(centre[0], spread, n), -90, 90), rng.normal(centre[1], spread, n)
    lat_e7, lng_e7 = np.rint(lat * 1e7).astype(np.int32), np.rint(lng * 1e7).astype(np.int32)
    cells = [
        h3.latlng_to_cell(a / 1e7, b / 1e7, RESOLUTION) for a, b in zip(lat_e7.tolist(), lng_e7.tolist(), strict=True)
    ]
    distinct, which = np.unique(np.array(cells, np.uint64), return_inverse=True)
    keys = keys_of_cells(distinct.tolist())
    assert len(np.unique(keys)) == len(distinct)
    assert np.array_equal(cell_keys(lat_e7, lng_e7), keys[which])


def test_points_on_a_border_get_the_librarys_cell() -> None:
    """Corners and mid-sides of cells, where rounding decides, are left to the library."""
    for cell in h3.grid_disk(h3.latlng_to_cell(-29.9, -71.25, RESOLUTION), 3):
        corners = np.array(h3.cell_to_boundary(cell))
        points = np.concatenate([corners, (corners + np.roll(corners, 1, axis=0)) / 2])
        lat_e7, lng_e7 = np.rint(points * 1e7).astype(np.int32).T
        cells = [
            h3.latlng_to_cell(a / 1e7, b / 1e7, RESOLUTION)
            for a, b in zip(lat_e7.tolist(), lng_e7.tolist(), strict=True)
        ]
        assert np.array_equal(cell_keys(lat_e7, lng_e7), keys_of_cells(cells))


def test_no_points_have_no_keys() -> None:
    """An empty question gets an empty answer."""
    assert len(cell_keys(np.zeros(0, np.int32), np.zeros(0, np.int32))) == 0
