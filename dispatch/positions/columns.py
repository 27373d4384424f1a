"""A batch of fixes as columns: what the index eats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

IMPLAUSIBLE_JUMP: Final = 1
"""Bit of `flags`: the fix belongs to the trail, but is not used as a position."""


@dataclass(frozen=True, slots=True, eq=False)
class FixColumns:
    """n fixes of any riders of one city, in the order of the log. Every column has shape (n,).

    Units as in `tracking.v1.FixColumns`: domain milliseconds, 1e-7 degrees, decimetres,
    centidegrees, centimetres a second.
    """

    rider_id: NDArray[np.uint64]
    session: NDArray[np.uint64]
    seq: NDArray[np.uint64]
    ts_ms: NDArray[np.int64]
    lat_e7: NDArray[np.int32]
    lng_e7: NDArray[np.int32]
    accuracy_dm: NDArray[np.uint16]
    heading_cdeg: NDArray[np.uint16]
    speed_cms: NDArray[np.uint16]
    flags: NDArray[np.uint8]

    def __post_init__(self) -> None:
        lengths = {name: len(getattr(self, name)) for name in COLUMN_NAMES}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"columns must be of one length, got {lengths}")

    def __len__(self) -> int:
        return len(self.rider_id)

    def take(self, which: NDArray[np.bool_] | NDArray[np.signedinteger]) -> FixColumns:
        """The fixes that a mask or an index array names."""
        return FixColumns(*(getattr(self, name)[which] for name in COLUMN_NAMES))

    @staticmethod
    def concat(batches: Sequence[FixColumns]) -> FixColumns:
        """One batch of many, in order: applying it costs far less than applying small ones in turn."""
        if len(batches) == 1:
            return batches[0]
        return FixColumns(*(np.concatenate([getattr(b, name) for b in batches]) for name in COLUMN_NAMES))

    @staticmethod
    def zeros(count: int) -> FixColumns:
        """Columns of `count` blank fixes, to be filled."""
        return FixColumns(
            rider_id=np.zeros(count, np.uint64),
            session=np.zeros(count, np.uint64),
            seq=np.zeros(count, np.uint64),
            ts_ms=np.zeros(count, np.int64),
            lat_e7=np.zeros(count, np.int32),
            lng_e7=np.zeros(count, np.int32),
            accuracy_dm=np.zeros(count, np.uint16),
            heading_cdeg=np.zeros(count, np.uint16),
            speed_cms=np.zeros(count, np.uint16),
            flags=np.zeros(count, np.uint8),
        )


COLUMN_NAMES: Final = tuple(field.name for field in fields(FixColumns))
