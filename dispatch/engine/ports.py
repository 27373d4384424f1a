"""Port of the engine: travel times."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.int64]
"""Places, shape (n, 2): columns lat_e7, lng_e7."""

Seconds = NDArray[np.float64]
"""Travel times in seconds; `inf` where no way is known."""


class TravelTimes(Protocol):
    """A model of travel times, pure: equal questions get equal answers for equal `version`.

    It never raises for points off its map: it answers `inf`, or falls back to its own estimate. One that asks another
    process raises `Retryable` when that does not answer.
    """

    @property
    def version(self) -> str:
        """Name of model, data and parameters; stored with every tick."""
        ...

    def matrix(self, origins: Points, destinations: Points, at_ms: int) -> Seconds:
        """Seconds from each of n origins to each of m destinations, shape (n, m), leaving at `at_ms`."""
        ...


@runtime_checkable
class PairwiseTravelTimes(TravelTimes, Protocol):
    """A model that can also answer pair by pair; the engine prefers this for sparse candidates."""

    def pairs(self, origins: Points, destinations: Points, at_ms: int) -> Seconds:
        """Seconds from `origins[i]` to `destinations[i]`, shape (n,), equal to `matrix`'s diagonal."""
        ...
