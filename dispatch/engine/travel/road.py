"""Travel times on a real road network.

    place --- straight, slowly --> nearest junction === quickest way ==> junction --- straight --> place

Free-flow times of the arcs, scaled to what a rider makes of them in a town with its crossings and lights. Two
places within a block of each other are also joined straight, so that no rider is sent round by the corner.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.ports import Points, Seconds
from dispatch.engine.travel.network import RoadNetwork
from dispatch.engine.travel.paths import Milliseconds, ShortestPaths, shortest_paths
from dispatch.engine.travel.snap import Snapper
from dispatch.errors import InvalidParams

SAME_BLOCK_M: Final = 100.0

_PAIR_COST: Final = 200
"""One pair by itself costs as much as so many entries of a matrix (25 µs against 0.12 µs)."""


@dataclass(frozen=True, slots=True)
class RoadParams:
    """Parameters of driving on roads.

    `speed_factor` is its speed over the arc's free-flow speed, `max_speed_kmh` what its vehicle makes at
    most, `off_road_mps` its speed between a place and the nearest junction.
    """

    speed_factor: float = 0.8
    max_speed_kmh: float = 60.0
    off_road_mps: float = 4.0

    def __post_init__(self) -> None:
        if not 0.1 <= self.speed_factor <= 2:
            raise InvalidParams(f"speed_factor must be within 0.1..2, got {self.speed_factor}")
        if not 3 <= self.max_speed_kmh <= 150:
            raise InvalidParams(f"max_speed_kmh must be within 3..150, got {self.max_speed_kmh}")
        if not 0.5 <= self.off_road_mps <= 30:
            raise InvalidParams(f"off_road_mps must be within 0.5..30, got {self.off_road_mps}")

    def arc_ms(self, network: RoadNetwork) -> Milliseconds:
        """Whole milliseconds to drive each arc, (m,), each at least 1."""
        kmh = np.minimum(network.arc_speed_kmh * self.speed_factor, self.max_speed_kmh)
        return np.asarray(np.maximum(np.rint(network.arc_length_m / kmh * 3600), 1), np.int64)


class RoadTravel:
    """Travel times by road (the port `PairwiseTravelTimes`). Pure once built; not picklable.

    Building takes 0.3 s for a city of 15,000 junctions: once a process, in the one that solves.
    """

    def __init__(self, network: RoadNetwork, params: RoadParams | None = None, paths: ShortestPaths | None = None):
        """`paths` must have been built with `params.arc_ms(network)`."""
        self._params = params or RoadParams()
        self._snapper = Snapper(network)
        self._paths = paths or shortest_paths(network, self._params.arc_ms(network))
        p = self._params
        self._version = f"road-{network.version()}-{p.speed_factor:g}-{p.max_speed_kmh:g}-{p.off_road_mps:g}"

    @staticmethod
    def load(path: Path, params: RoadParams | None = None) -> RoadTravel:
        """Load a network's file. Raises `BrokenNetwork` or `OSError`."""
        return RoadTravel(RoadNetwork.load(path), params)

    @property
    def version(self) -> str:
        return self._version

    def matrix(self, origins: Points, destinations: Points, at_ms: int) -> Seconds:
        start, access_m = self._snapper.nearest(origins)
        end, egress_m = self._snapper.nearest(destinations)
        sources, source = np.unique(start, return_inverse=True)
        targets, target = np.unique(end, return_inverse=True)
        by_road = self._paths.milliseconds(sources, targets)[source[:, None], target[None, :]]
        off_road_m = access_m[:, None] + egress_m[None, :]
        straight_m = self._straight_m(origins[:, None, :], destinations[None, :, :])
        return self._seconds(by_road, off_road_m, straight_m)

    def pairs(self, origins: Points, destinations: Points, at_ms: int) -> Seconds:
        start, access_m = self._snapper.nearest(origins)
        end, egress_m = self._snapper.nearest(destinations)
        return self._seconds(self._pair_ms(start, end), access_m + egress_m, self._straight_m(origins, destinations))

    def _pair_ms(self, start: NDArray[np.intp], end: NDArray[np.intp]) -> Milliseconds:
        sources, source = np.unique(start, return_inverse=True)
        targets, target = np.unique(end, return_inverse=True)
        if len(sources) * len(targets) <= _PAIR_COST * len(start):
            return self._paths.milliseconds(sources, targets)[source, target]
        one_by_one = [self._paths.milliseconds(start[i : i + 1], end[i : i + 1]) for i in range(len(start))]
        return np.concatenate(one_by_one)[:, 0]

    def _straight_m(self, origins: Points, destinations: Points) -> NDArray[np.float64]:
        apart = self._snapper.plane_m(destinations - origins)
        return np.hypot(apart[..., 0], apart[..., 1])

    def _seconds(
        self, by_road: Milliseconds, off_road_m: NDArray[np.float64], straight_m: NDArray[np.float64]
    ) -> Seconds:
        seconds = by_road / 1000 + off_road_m / self._params.off_road_mps
        straight_s = np.where(straight_m <= SAME_BLOCK_M, straight_m / self._params.off_road_mps, np.inf)
        return np.minimum(seconds, straight_s)
