"""The last position of every rider of a city.

A rider's position is its fix with the greatest (session, seq). So duplicates, reordering, resends and
bursts after a tunnel all converge to one state, whatever the batches were. Of two fixes with equal
(session, seq), which only a broken app sends, the first in the log stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dispatch.positions.buckets import Buckets
from dispatch.positions.rows import Ids, RiderRows, Rows
from dispatch.positions.snapshot import PositionSnapshot
from proto.fix_columns import IMPLAUSIBLE_JUMP, FixColumns

STALE_AFTER_MS: Final = 60_000
"""A rider whose last fix is older (domain time) is not offered to anybody."""


@dataclass(frozen=True, slots=True, eq=False)
class PositionUpdate:
    """Result of a batch: `applied + superseded` is its length.

    `applied` fixes became a rider's position; the rest had been overtaken (by this batch or an earlier one),
    were duplicates, or are marked as implausible. `moved_rows` are the distinct rows with a new position,
    `moved` their riders.
    """

    applied: int
    superseded: int
    moved_rows: Rows
    moved: Ids


class RiderPositions:
    """Columns of last positions, one row a rider; a row stays for as long as this lives, some 150 bytes.

    What riders do (online, idle, their load) is not here: that comes from the city's events. Not thread-safe.
    `apply` costs about 0.1 µs a fix in batches of thousands (concatenate small ones).
    Everything is a function of the fixes applied, in their order, and of the `now_ms` asked about.
    """

    def __init__(self, expected_riders: int = 1024) -> None:
        self._rows = RiderRows(expected_riders)
        self._columns = FixColumns.zeros(max(expected_riders, 8))
        self._winner = np.zeros(len(self._columns), np.intp)
        self._stamp = np.zeros(len(self._columns), np.int64)
        self._buckets = Buckets()
        self._clock = 0
        self.applied_total = 0
        self.superseded_total = 0

    def __len__(self) -> int:
        """Riders ever seen."""
        return len(self._rows)

    @property
    def version(self) -> int:
        """Grows with every batch that moved a rider; a cursor for `changed_since`."""
        return self._clock

    def apply(self, batch: FixColumns) -> PositionUpdate:
        """Take the fixes that are newer than what is known; any order, any duplicates."""
        usable = batch
        if batch.flags.any():
            usable = batch.take((batch.flags & IMPLAUSIBLE_JUMP) == 0)
        known = len(self._rows)
        rows = self._rows.find_or_add(usable.rider_id)
        self._reserve(len(self._rows))
        newer = np.flatnonzero(self._is_newer(usable, rows, known))
        chosen = self._latest_of_each_row(usable, rows, newer)
        moved = rows[chosen]
        self._write(usable, chosen, moved)
        self.applied_total += len(chosen)
        self.superseded_total += len(batch) - len(chosen)
        return PositionUpdate(len(chosen), len(batch) - len(chosen), moved, usable.rider_id[chosen])

    def snapshot(self, now_ms: int, stale_after_ms: int = STALE_AFTER_MS) -> PositionSnapshot:
        """The riders with a fix not older than `stale_after_ms` at `now_ms`, bucketed by cell.

        Only riders that moved since the last snapshot are bucketed anew. Later fixes do not change it.
        """
        count = len(self._rows)
        columns = self._columns
        order = self._buckets.refresh(columns.lat_e7[:count], columns.lng_e7[:count], self._stamp[:count], self._clock)
        fresh = columns.ts_ms[order.rows] >= now_ms - stale_after_ms
        order = order.only(fresh)
        return PositionSnapshot(now_ms, columns.take(order.rows), order)

    def positions_of(self, rider_ids: Ids, now_ms: int) -> tuple[FixColumns, NDArray[np.int64], NDArray[np.bool_]]:
        """Last fixes of these riders, their ages in ms at `now_ms`, and which of them were ever seen.

        Stale ones included. Shape (n,) each; columns and age of a rider never seen mean nothing.
        """
        rows = self._rows.find(rider_ids)
        columns = self._columns.take(rows)
        return columns, now_ms - columns.ts_ms, rows >= 0

    def changed_since(self, version: int) -> FixColumns:
        """Last fixes of the riders that moved after `version`, for views that follow at their own pace."""
        return self._columns.take(np.flatnonzero(self._stamp[: len(self._rows)] > version))

    def _is_newer(self, batch: FixColumns, rows: Rows, known: int) -> NDArray[np.bool_]:
        session = self._columns.session[rows]
        newer = batch.session > session
        same = batch.session == session
        same &= batch.seq > self._columns.seq[rows]
        newer |= same
        newer |= rows >= known
        return newer

    def _latest_of_each_row(self, batch: FixColumns, rows: Rows, among: NDArray[np.intp]) -> NDArray[np.intp]:
        """Choose of the fixes `among` the one with the greatest (session, seq) of each row; the first of equals."""
        own_rows = rows[among]
        self._winner[own_rows] = among  # the last of a row stays: right where riders send oldest first
        winner = self._winner[own_rows]
        won: NDArray[np.bool_] = winner == among
        if won.all():
            return among
        losers, winners = among[~won], winner[~won]
        session, seq = batch.session, batch.seq
        below = (session[losers] < session[winners]) | (
            (session[losers] == session[winners]) & (seq[losers] < seq[winners])
        )
        if below.all():
            return among[won]
        order = np.lexsort((-among, seq[among], session[among], own_rows))
        ends = np.flatnonzero(np.diff(own_rows[order], append=-1))
        return np.sort(among[order[ends]])

    def _write(self, batch: FixColumns, chosen: NDArray[np.intp], rows: Rows) -> None:
        if len(chosen) == 0:
            return
        for name, column in self._columns.columns().items():
            column[rows] = getattr(batch, name)[chosen]
        self._clock += 1
        self._stamp[rows] = self._clock

    def _reserve(self, rows: int) -> None:
        have = len(self._columns)
        if rows <= have:
            return
        more = max(rows, 2 * have) - have
        self._columns = FixColumns.concat([self._columns, FixColumns.zeros(more)])
        self._winner = np.concatenate([self._winner, np.zeros(more, np.intp)])
        self._stamp = np.concatenate([self._stamp, np.zeros(more, np.int64)])
