"""Travel times where nothing is known of the roads: great circle x detour / vehicle speed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.ports import Points, Seconds
from dispatch.errors import InvalidParams
from node.geodesy import distances_m


@dataclass(frozen=True, slots=True)
class FreeFlowTravel:
    """`detour` is road distance over straight distance: 1.3 is usual for street grids."""

    speed_mps: float = 7.0
    detour: float = 1.3

    def __post_init__(self) -> None:
        if not 0.1 <= self.speed_mps <= 70:
            raise InvalidParams(f"speed_mps must be within 0.1..70, got {self.speed_mps}")
        if not 1 <= self.detour <= 5:
            raise InvalidParams(f"detour must be within 1..5, got {self.detour}")

    @property
    def version(self) -> str:
        return f"free-flow-{self.speed_mps:g}-{self.detour:g}"

    def matrix(self, origins: Points, destinations: Points, at_ms: int) -> Seconds:
        return self.between(origins[:, None, :], destinations[None, :, :])

    def pairs(self, origins: Points, destinations: Points, at_ms: int) -> Seconds:
        return self.between(origins, destinations)

    def between(self, a: NDArray[np.int64], b: NDArray[np.int64]) -> Seconds:
        """Seconds from places `a` to places `b`, of any shapes that go together; the last axis is lat_e7, lng_e7."""
        return distances_m(a, b) * (self.detour / self.speed_mps)
