"""Travel times where nothing is known of the roads: great circle x detour / vehicle speed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.ports import Points, Seconds
from dispatch.errors import InvalidParams

EARTH_RADIUS_M = 6_371_008.8
"""Mean radius of the WGS 84 ellipsoid (IUGG)."""


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
        return great_circle_m(a, b) * (self.detour / self.speed_mps)


def great_circle_m(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.float64]:
    """Metres between places, by the haversine formula; the last axis holds lat_e7, lng_e7."""
    lat_a, lat_b = np.radians(a[..., 0] * 1e-7), np.radians(b[..., 0] * 1e-7)
    half_lat = (lat_b - lat_a) / 2
    half_lng = np.radians((b[..., 1] - a[..., 1]) * 1e-7) / 2
    h = np.sin(half_lat) ** 2 + np.cos(lat_a) * np.cos(lat_b) * np.sin(half_lng) ** 2
    metres: NDArray[np.float64] = 2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.minimum(h, 1.0)))
    return metres
