"""Learn how much longer whole legs take than the sum of their cells, from legs that were driven.

    leg = start + stretch x turn(direction) x (sum of the cells)

`start` is what every leg costs however short it is (to the road, to the door), `stretch` what streets are longer than
the straight way times the usual detour, and `turn` how that depends on the direction: in a town of two directions of
streets a diagonal is 1.41 times as long, a straight run 1.0 times. All are shrunk: with no leg driven they are 0, 1, 1.

The line is fitted by least squares from five sums, with a prior of `_PRIOR` legs that took what was expected.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.travel.ratio import Ratio
from node.geodesy import lng_scales

SECTORS: Final = 8
"""Directions of a leg, of 22.5 degrees; there and back are one."""

#: Legs of 60, 240 and 420 seconds that took just so, each so often: what must be outweighed.
_PRIOR: Final = 5.0
_PRIOR_LEGS_S: Final = (60.0, 240.0, 420.0)
#: The last so many legs count.
_MEMORY: Final = 2000.0
_TURN_SHRINK_S: Final = 1800.0
_TURN_MEMORY_S: Final = 100_000.0


@dataclass(frozen=True, slots=True)
class LegFit:
    """Constants of the correction of a leg."""

    start_s: float = 0.0
    stretch: float = 1.0
    turns: tuple[float, ...] = (1.0,) * SECTORS

    def seconds(self, cells_s: NDArray[np.float64], sector: NDArray[np.int64]) -> NDArray[np.float64]:
        """Seconds of legs whose cells sum up to `cells_s`; the start grows up over the first minute of a way."""
        turned: NDArray[np.float64] = cells_s * np.array(self.turns)[sector] * self.stretch
        return turned + self.start_s * np.minimum(1.0, cells_s / 60.0)


def sector_of(way_e7: NDArray[np.int64], lat_e7: NDArray[np.int64]) -> NDArray[np.int64]:
    """The direction of ways (..., 2) that begin at a latitude, 0..7; east is 0, north 4."""
    north, east = way_e7[..., 0], way_e7[..., 1] * lng_scales(lat_e7)
    angle = np.arctan2(north, east) % np.pi
    out: NDArray[np.int64] = np.rint(angle / np.pi * SECTORS).astype(np.int64) % SECTORS
    return out


@dataclass(slots=True)
class LegSums:
    """Sums over legs: weight, x, y, xx, xy; and each direction against the line."""

    sums: list[float] = field(default_factory=lambda: [0.0] * 5)
    turns: list[Ratio] = field(default_factory=lambda: [Ratio() for _ in range(SECTORS)])

    def add(self, expected_s: float, spent_s: float, sector: int) -> None:
        """A leg whose cells said `expected_s`."""
        line = self.fit()
        whole_s = line.start_s + line.stretch * expected_s
        self.turns[sector].add(whole_s, spent_s, _TURN_MEMORY_S)
        # The line is fitted to what is left when directions are counted out, or the two would chase each other.
        straight_s = spent_s / line.turns[sector]
        for i, value in enumerate((1.0, expected_s, straight_s, expected_s**2, expected_s * straight_s)):
            self.sums[i] += value
        if self.sums[0] > _MEMORY:
            self.sums = [value / 2 for value in self.sums]

    def fit(self) -> LegFit:
        """The constants as of now."""
        n, x, y, xx, xy = self.sums
        n += _PRIOR * len(_PRIOR_LEGS_S)
        for prior_s in _PRIOR_LEGS_S:
            x, y = x + _PRIOR * prior_s, y + _PRIOR * prior_s
            xx, xy = xx + _PRIOR * prior_s**2, xy + _PRIOR * prior_s**2
        stretch = min(4.0, max(0.25, (n * xy - x * y) / (n * xx - x * x)))
        start_s = min(300.0, max(0.0, (y - stretch * x) / n))
        turns = tuple(round(turn.factor(_TURN_SHRINK_S), 6) for turn in self.turns)
        return LegFit(round(start_s, 6), round(stretch, 6), turns)
