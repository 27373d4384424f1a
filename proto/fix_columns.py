"""Fixes of riders as columns, the value of `tracking.v1.FixColumns` and all code that works on fixes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from proto.columns import FIX_COLUMNS

MAX_PING_BATCH: Final = 100
"""Fixes in one `tracking.v1.PingBatch`."""

MAX_HEADING_CDEG: Final = 35_999

IMPLAUSIBLE_JUMP: Final = 1
"""Bit of `flags`: the fix belongs to the trail, but is not used as a position."""


@dataclass(frozen=True, slots=True, eq=False)
class FixColumns:
    """n fixes of any riders of one city. Every column has shape (n,) and the type of `proto.columns.FIX_COLUMNS`.

    Units as in `tracking.v1.FixColumns`: domain milliseconds, 1e-7 degrees, decimetres, centidegrees, centimetres a
    second. Raises `ValueError` when the columns are not of one length.
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
        lengths = {name: len(column) for name, column in self.columns().items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"columns must be of one length, got {lengths}")

    def __len__(self) -> int:
        return len(self.rider_id)

    def columns(self) -> dict[str, NDArray[Any]]:
        """The columns by name, in the order of the fields."""
        return {name: getattr(self, name) for name in FIX_COLUMNS}

    def take(self, which: NDArray[np.bool_] | NDArray[np.signedinteger] | slice) -> FixColumns:
        """The fixes that a mask, an index array or a slice names; views of these for a slice."""
        return FixColumns(**{name: column[which] for name, column in self.columns().items()})

    @staticmethod
    def concat(batches: Sequence[FixColumns]) -> FixColumns:
        """One batch of many, in order: applying it costs far less than applying small ones in turn."""
        if len(batches) == 1:
            return batches[0]
        return FixColumns(**{name: np.concatenate([getattr(b, name) for b in batches]) for name in FIX_COLUMNS})

    @staticmethod
    def zeros(count: int) -> FixColumns:
        """Columns of `count` blank fixes, to be filled."""
        return FixColumns(**{name: np.zeros(count, dtype) for name, dtype in FIX_COLUMNS.items()})
