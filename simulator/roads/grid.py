"""A made-up city of the same interface, for where the real roads cannot be had.

A seeded street grid over the bay of La Serena and Coquimbo: blocks of about 140 m, every fifth street
an avenue, narrow streets one-way in turn, some blocks merged, corners a little off.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from simulator.roads.build import Link

SOURCE: Final = "grid"
ATTRIBUTION: Final = "generated streets, no real place"

_SOUTH_WEST_E7: Final = (-299_950_000, -712_900_000)
_BLOCK_E7: Final = (12_600, 14_500)  # 140 m each way at this latitude
_AVENUE_EVERY: Final = 5
_MISSING: Final = 0.06


def grid_links(seed: int, rows: int = 80, columns: int = 50) -> Iterator[Link]:
    """Streets of a grid of `rows` by `columns` corners, equal for equal seeds."""
    rng = np.random.default_rng(seed)
    corner_row, corner_column = np.mgrid[0:rows, 0:columns]
    lat = _SOUTH_WEST_E7[0] + corner_row * _BLOCK_E7[0] + rng.integers(-1_500, 1_500, (rows, columns))
    lng = _SOUTH_WEST_E7[1] + corner_column * _BLOCK_E7[1] + rng.integers(-1_500, 1_500, (rows, columns))
    places = np.stack([lat, lng], axis=-1).astype(np.int32)
    for row in range(rows):
        for column in range(columns):
            for to_row, to_column, line in ((row, column + 1, row), (row + 1, column, column)):
                if to_row == rows or to_column == columns:
                    continue
                avenue = line % _AVENUE_EVERY == 0
                if not avenue and rng.random() < _MISSING:
                    continue
                yield Link(
                    a=row * columns + column,
                    b=to_row * columns + to_column,
                    road_class="secondary" if avenue else "residential",
                    shape_e7=np.stack([places[row, column], places[to_row, to_column]]),
                    speed_kmh=None,
                    forward=avenue or line % 3 != 1,
                    backward=avenue or line % 3 != 2,
                )
