"""Where a city's riders are: columns of last positions, buckets of H3 cells, nearest riders."""

from dispatch.index.columns import IMPLAUSIBLE_JUMP, FixColumns
from dispatch.index.positions import Applied, RiderPositions
from dispatch.index.snapshot import NearestRiders, PositionSnapshot

__all__ = [
    "IMPLAUSIBLE_JUMP",
    "Applied",
    "FixColumns",
    "NearestRiders",
    "PositionSnapshot",
    "RiderPositions",
]
