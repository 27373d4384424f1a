"""Last positions of a city's riders: columns of last positions, buckets of H3 cells, nearest riders."""

from dispatch.positions.rider_positions import PositionUpdate, RiderPositions
from dispatch.positions.snapshot import NearestRiders, PositionSnapshot

__all__ = [
    "NearestRiders",
    "PositionSnapshot",
    "PositionUpdate",
    "RiderPositions",
]
