"""Travel times of the MDRPLib instances: whole minutes over straight lines.

The rule of Reyes et al. 2018: time = ceil(Euclidean distance / metres a minute) minutes. An
instance lives on a plane of integer metres; it is laid around (0, 0) with exactly 90 units of 1e-7
degree a metre (the earth has 89.83 there), so that metres come back exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.model import Point
from dispatch.engine.ports import Points, Seconds
from dispatch.errors import InvalidParams

E7_PER_M = 90


def to_point(x_m: int, y_m: int) -> Point:
    """The place of plane coordinates in metres; x runs east, y north."""
    return Point(lat_e7=y_m * E7_PER_M, lng_e7=x_m * E7_PER_M)


@dataclass(frozen=True, slots=True)
class PlanarTravel:
    """ceil(Euclid / metres_per_minute) minutes, in seconds."""

    metres_per_minute: int

    def __post_init__(self) -> None:
        if self.metres_per_minute < 1:
            raise InvalidParams(f"metres_per_minute must be at least 1, got {self.metres_per_minute}")

    @property
    def version(self) -> str:
        return f"planar-{self.metres_per_minute}"

    def matrix(self, origins: Points, destinations: Points, at_ms: int) -> Seconds:
        return self._seconds(origins[:, None, :] - destinations[None, :, :])

    def pairs(self, origins: Points, destinations: Points, at_ms: int) -> Seconds:
        return self._seconds(origins - destinations)

    def _seconds(self, delta_e7: NDArray[np.int64]) -> Seconds:
        delta_m = delta_e7 / E7_PER_M
        metres = np.hypot(delta_m[..., 0], delta_m[..., 1])
        # A whole number of minutes may come out a hair above itself: 1e-9 of a minute is no distance.
        return np.ceil(metres / self.metres_per_minute - 1e-9) * 60.0
