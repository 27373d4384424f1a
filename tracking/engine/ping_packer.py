"""Collect the batches of all streams for a few milliseconds, then check and pack them in one vectorised go.

    streams      batches in order of arrival          one `pack()`
    ana  s1 ──>  [ana 1-3]
    ben  s2 ──>  [ben 7]          ──>  sorted by (city, stream), columns joined, checked, jumps marked
    ana  s1 ──>  [ana 4-5]             ──>  CityBatch(la-serena: ana 1 2 3 4 5, ben 7), refusals

A batch costs a few list appends when it comes in and a few indexings when it is packed; a fix costs nothing in Python.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from node.geodesy import lng_scales, short_turn_e7
from proto.columns import PING_BATCH
from proto.fix_columns import IMPLAUSIBLE_JUMP, FixColumns
from tracking.engine.fix_checks import FixFault, first_faults, jumps, some_far
from tracking.engine.ledger import Ticket
from tracking.engine.limits import Limits
from tracking.engine.session import RiderSession
from tracking.engine.stream_table import StreamTable
from tracking.model import RawBatch, Refusal

Held = tuple[RiderSession, Ticket]


@dataclass(frozen=True, slots=True)
class CityBatch:
    """Fixes of one city, and the tickets that are settled when they are durable."""

    city: str
    fixes: FixColumns
    held: tuple[Held, ...]


@dataclass(frozen=True, slots=True)
class PackedBatches:
    """Result of one `pack`. `settled` are tickets of sessions all of whose batches were refused."""

    city_batches: tuple[CityBatch, ...]
    refused: tuple[tuple[RiderSession, Refusal], ...]
    settled: tuple[Held, ...]
    fixes: int = 0
    fixes_refused: int = 0
    jumps: int = 0


@dataclass(slots=True)
class PingPacker:
    """Batches that were received and not packed yet. Whoever adds bounds it, by packing at `fixes` >= some limit."""

    table: StreamTable
    limits: Limits
    cities: list[str] = field(default_factory=list)
    fixes: int = 0
    _batches: list[RawBatch] = field(default_factory=list)
    _counts: list[int] = field(default_factory=list)
    _sessions: list[RiderSession] = field(default_factory=list)
    _held: dict[int, list[Held]] = field(default_factory=dict)
    _newest: dict[int, Ticket] = field(default_factory=dict)

    def city_number(self, city: str) -> int:
        """The number that stands for a city in the table."""
        if city not in self.cities:
            self.cities.append(city)
        return self.cities.index(city)

    def add(self, session: RiderSession, batch: RawBatch, fixes: int, last_seq: int) -> None:
        """Takes a batch whose columns are of the right length."""
        self._batches.append(batch)
        self._counts.append(fixes)
        self._sessions.append(session)
        self.fixes += fixes
        row = session.row
        newest = self._newest.get(row)
        if newest is None or not session.ledger.extend(newest, last_seq, fixes):
            ticket = session.ledger.take(last_seq, fixes)
            self._newest[row] = ticket
            self._held.setdefault(row, []).append((session, ticket))

    def pack(self, now_ms: int) -> PackedBatches:
        """Checks and packs everything that waits. `now_ms` is domain time."""
        if not self._batches:
            return PackedBatches((), (), ())
        batches, counts, sessions, held = self._batches, self._counts, self._sessions, self._held
        self._batches, self._counts, self._sessions, self._held, self._newest = [], [], [], {}, {}
        all_fixes, self.fixes = self.fixes, 0
        rows = np.array([session.row for session in sessions])
        keys = self.table.columns["city"][rows] << 40 | rows
        if (keys[1:] < keys[:-1]).any():
            order = np.argsort(keys, kind="stable")
            rows, picks = rows[order], order.tolist()
            batches, counts, sessions = ([of[i] for i in picks] for of in (batches, counts, sessions))
        columns = _joined(batches)
        faults = first_faults(columns, np.cumsum(counts), now_ms, self.limits)
        refused: tuple[tuple[RiderSession, Refusal], ...] = ()
        counted = np.array(counts)
        if faults:
            refused = tuple((sessions[fault.batch], _refusal(fault, batches[fault.batch])) for fault in faults)
            good = np.ones(len(batches), np.bool_)
            good[[fault.batch for fault in faults]] = False
            columns = {name: column[np.repeat(good, counted)] for name, column in columns.items()}
            rows, counted = rows[good], counted[good]
        return self._split(columns, rows, counted, refused, held, all_fixes)

    def _split(
        self,
        columns: dict[str, NDArray[Any]],
        rows: NDArray[np.int64],
        counts: NDArray[np.int64],
        refused: tuple[tuple[RiderSession, Refusal], ...],
        held: dict[int, list[Held]],
        all_fixes: int,
    ) -> PackedBatches:
        if not len(rows):
            return PackedBatches((), refused, _flat(held), 0, all_fixes)
        flags = self._mark_jumps(columns, rows, counts)
        row_of_fix = np.repeat(rows, counts)
        fixes = FixColumns(
            rider_id=self.table.columns["rider_id"][row_of_fix],
            session=self.table.columns["session"][row_of_fix],
            flags=flags,
            **columns,
        )
        cities = self.table.columns["city"][rows]
        cuts = np.flatnonzero(np.diff(cities, prepend=-1))
        ends = np.cumsum(counts)
        city_batches = []
        for first, after in zip(cuts.tolist(), [*cuts[1:].tolist(), len(rows)], strict=True):
            part = slice(int(ends[first] - counts[first]), int(ends[after - 1]))
            tickets = [one for row in dict.fromkeys(rows[first:after].tolist()) for one in held.pop(row)]
            whole = len(cuts) == 1
            city_batches.append(
                CityBatch(self.cities[cities[first]], fixes if whole else fixes.take(part), tuple(tickets))
            )
        refused_fixes = all_fixes - len(fixes)
        return PackedBatches(
            tuple(city_batches), refused, _flat(held), len(fixes), refused_fixes, int(np.count_nonzero(flags))
        )

    def _mark_jumps(
        self, columns: dict[str, NDArray[Any]], rows: NDArray[np.int64], counts: NDArray[np.int64]
    ) -> NDArray[np.uint8]:
        """Flags each fix against the one before it of the same stream, and remembers each stream's last."""
        table = self.table.columns
        ends = np.cumsum(counts)
        new_stream = np.append(True, rows[1:] != rows[:-1])
        streams = rows[new_stream]
        first = (ends - counts)[new_stream]
        last = np.append(first[1:], ends[-1]) - 1
        step = {name: _steps(columns[name], table[name][streams], first) for name in ("ts_ms", "lat_e7", "lng_e7")}
        unknown = first[table["ts_ms"][streams] == 0]
        step["lat_e7"][unknown] = step["lng_e7"][unknown] = 0
        flags = np.zeros(len(columns["seq"]), np.uint8)
        if some_far(step["lat_e7"], step["lng_e7"], step["ts_ms"], self.limits):
            # Seldom: the exact check, with both accuracies, the shape of the earth and the line of the dates.
            before_dm = _before(columns["accuracy_dm"], table["accuracy_dm"][streams], first)
            accuracy_m = (columns["accuracy_dm"] + before_dm) / 10
            east = short_turn_e7(step["lng_e7"]) * lng_scales(columns["lat_e7"])
            marked = jumps(step["lat_e7"], east, step["ts_ms"], accuracy_m, self.limits)
            marked[unknown] = False
            flags[marked] = IMPLAUSIBLE_JUMP
        for name in ("ts_ms", "lat_e7", "lng_e7", "accuracy_dm"):
            table[name][streams] = columns[name][last]
        return flags


def _before(column: NDArray[Any], last: NDArray[np.int64], first: NDArray[np.int64]) -> NDArray[np.int64]:
    """The value before each fix in its stream: `last` for the `first` ones."""
    before = np.empty(len(column), np.int64)
    before[1:] = column[:-1]
    before[first] = last
    return before


def _steps(column: NDArray[Any], last: NDArray[np.int64], first: NDArray[np.int64]) -> NDArray[np.int64]:
    """The difference of each fix from the one before it in its stream."""
    before = _before(column, last, first)
    np.subtract(column, before, out=before)
    return before


def _joined(batches: list[RawBatch]) -> dict[str, NDArray[Any]]:
    if len(batches) == 1:
        parts: Any = batches[0]
    else:
        parts = (b"".join(column) for column in zip(*batches, strict=True))
    return {name: np.frombuffer(part, kind) for (name, kind), part in zip(PING_BATCH.items(), parts, strict=True)}


def _refusal(fault: FixFault, batch: RawBatch) -> Refusal:
    seq = int.from_bytes(batch[0][:8], "little")
    field_name = f"pings.{fault.column}[{fault.fix}]"
    return Refusal(seq, field_name, fault.reason, f"{field_name}: {fault.message}; the batch was refused")


def _flat(held: dict[int, list[Held]]) -> tuple[Held, ...]:
    return tuple(one for of_row in held.values() for one in of_row)
