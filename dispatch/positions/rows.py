"""Rider id -> row, for many ids at once: an open-addressing hash table in numpy.

Ids are spread by Fibonacci hashing (Knuth, TAOCP 3, 6.4): multiply by 2^64/phi, keep the top bits. A taken
slot sends an id on to the next one. The table is kept at most half full, so that nearly all ids are found
at their first or second slot and a bulk lookup is two gathers and a comparison.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_EMPTY: Final = -1

Ids = NDArray[np.uint64]
Rows = NDArray[np.int32]


class RiderRows:
    """Rows 0, 1, 2, … in the order in which ids came; a row never changes its rider."""

    def __init__(self, expected: int = 1024) -> None:
        self._count = 0
        self._allocate(max(expected, 8))

    def __len__(self) -> int:
        return self._count

    def find(self, ids: Ids) -> Rows:
        """The row of each id, -1 for those unknown. Shape (n,)."""
        slots = self._home(ids)
        rows = self._rows[slots]
        astray = np.flatnonzero((self._ids[slots] != ids) & (rows != _EMPTY))
        while len(astray):
            slots[astray] = (slots[astray] + 1) & self._mask
            there = slots[astray]
            rows[astray] = self._rows[there]
            astray = astray[(self._ids[there] != ids[astray]) & (rows[astray] != _EMPTY)]
        # An empty slot's id reads 0, as an unknown rider 0 would: its row says -1 either way.
        return rows

    def find_or_add(self, ids: Ids) -> Rows:
        """The row of each id; ids never seen get new rows, ascending by id within one call."""
        rows = self.find(ids)
        unknown = np.flatnonzero(rows == _EMPTY)
        if len(unknown):
            fresh = np.unique(ids[unknown])
            self._reserve(self._count + len(fresh))
            self._insert(fresh, np.arange(self._count, self._count + len(fresh), dtype=np.int32))
            self._count += len(fresh)
            rows[unknown] = self.find(ids[unknown])
        return rows

    def _home(self, ids: Ids) -> NDArray[np.intp]:
        return ((ids * _GOLDEN) >> self._shift).astype(np.intp)

    def _allocate(self, rows: int) -> None:
        bits = max(4, (2 * rows - 1).bit_length())
        self._mask = (1 << bits) - 1
        self._shift = np.uint64(64 - bits)
        self._ids: Ids = np.zeros(1 << bits, np.uint64)
        self._rows: Rows = np.full(1 << bits, _EMPTY, np.int32)

    def _reserve(self, rows: int) -> None:
        if 2 * rows <= self._mask + 1:
            return
        taken = self._rows != _EMPTY
        old_ids, old_rows = self._ids[taken], self._rows[taken]
        self._allocate(2 * rows)
        self._insert(old_ids, old_rows)

    def _insert(self, ids: Ids, rows: Rows) -> None:
        """Put distinct, absent ids into the table, all at once: those that lose a slot try the next one."""
        slots = self._home(ids)
        waiting = np.arange(len(ids))
        while len(waiting):
            there = slots[waiting]
            free = self._rows[there] == _EMPTY
            self._rows[there[free]] = rows[waiting[free]]  # the last one to write a slot wins it
            won = free & (self._rows[there] == rows[waiting])
            self._ids[there[won]] = ids[waiting[won]]
            waiting = waiting[~won]
            slots[waiting] = (slots[waiting] + 1) & self._mask
