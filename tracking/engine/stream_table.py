"""One row a stream, as columns: what the vectorised steps need to know of a session."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FIRST_ROWS = 1024


def _columns(rows: int) -> dict[str, NDArray[Any]]:
    return {
        "rider_id": np.zeros(rows, np.uint64),
        "session": np.zeros(rows, np.uint64),
        "city": np.zeros(rows, np.int64),
        # The last fix, for the jump check; ts_ms 0: none yet.
        "ts_ms": np.zeros(rows, np.int64),
        "lat_e7": np.zeros(rows, np.int64),
        "lng_e7": np.zeros(rows, np.int64),
        "accuracy_dm": np.zeros(rows, np.int64),
    }


@dataclass(slots=True)
class StreamTable:
    """Rows are reused after `free`; the columns double when they are full."""

    columns: dict[str, NDArray[Any]] = field(default_factory=lambda: _columns(_FIRST_ROWS))
    _free: list[int] = field(default_factory=list)
    _used: int = 0

    def add(self, rider_id: int, session: int, city: int) -> int:
        """A row for a session."""
        row = self._free.pop() if self._free else self._next()
        for name, value in (("rider_id", rider_id), ("session", session), ("city", city), ("ts_ms", 0)):
            self.columns[name][row] = value
        return row

    def free(self, row: int) -> None:
        """Gives the row back. Nothing may refer to it any more."""
        self._free.append(row)

    def _next(self) -> int:
        row = self._used
        if row == len(self.columns["rider_id"]):
            self.columns = {name: np.concatenate([old, np.zeros_like(old)]) for name, old in self.columns.items()}
        self._used += 1
        return row
