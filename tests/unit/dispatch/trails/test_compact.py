"""Compaction: the promise kept, nothing lost whenever it is killed, the same file again, late fixes taken in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch.trails.adapters.memory import MemoryTrails
from dispatch.trails.adapters.parquet import ParquetArchive, ParquetHour
from dispatch.trails.compact import ROUNDING_M, archivable, compact
from dispatch.trails.interpolation import places, places_at, points_of
from dispatch.trails.minute_documents import chunks
from dispatch.trails.model import HOUR_MS as AN_HOUR_MS
from dispatch.trails.model import TrailColumns
from node.geodesy import distances_m
from proto.fix_columns import FixColumns
from tests.unit.dispatch.shard.worlds import BIG_RIDER
from tests.unit.dispatch.trails.worlds import HOUR_MS, straight, trail

HOUR = HOUR_MS // AN_HOUR_MS


class Killed(BaseException):
    """Stand-in for `kill -9` in a test."""


async def hot_with(*rides: FixColumns) -> MemoryTrails:
    """Trails of Rome that nobody archived."""
    hot = MemoryTrails()
    await hot.write("roma", 1, FixColumns.concat(rides))
    return hot


def same(a: TrailColumns, b: TrailColumns) -> bool:
    """Equal columns."""
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ("rider_id", "ts_ms", "lat_e7", "fixes"))


async def test_the_same_minutes_make_the_same_file(tmp_path: Path) -> None:
    """Twice compacted is once compacted, byte for byte; only then the minutes may expire."""
    hot, archive = (
        await hot_with(straight(300, 8.0), straight(200, 5.0, rider=BIG_RIDER)),
        ParquetArchive(str(tmp_path)),
    )
    first = await compact(hot, archive, "roma", HOUR, 5.0, 24)
    (file,) = tmp_path.rglob("*.parquet")
    assert file.relative_to(tmp_path).as_posix() == "trails/city=roma/day=2025-10-09/hour=08.parquet"
    body = file.read_bytes()
    assert (first.riders, first.fixes, first.points, first.changed) == (2, 500, 4, 0)
    assert await compact(hot, archive, "roma", HOUR, 5.0, 24) == first
    assert file.read_bytes() == body
    assert await hot.next_open("roma", 0) is None
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["hour=08.parquet"]


@pytest.mark.parametrize("where", ["begin", "add", "finish", "mark"])
async def test_killed_anywhere_it_begins_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """Killed while it writes, verifies or marks: nothing hot may expire before the archive has it, and it ends well."""
    hot, archive = await hot_with(straight(300, 8.0)), ParquetArchive(str(tmp_path))

    def kill(*_: Any) -> None:
        raise Killed

    abandon = ParquetHour.abandon

    def left_behind(self: ParquetHour) -> None:
        abandon(self)
        Path(self._part).write_bytes(b"half a file")  # a dead process cleans nothing up

    with monkeypatch.context() as patch:
        patch.setattr(ParquetHour, "abandon", left_behind)
        target: Any = {"begin": ParquetHour, "add": ParquetHour, "finish": ParquetHour, "mark": hot}[where]
        name = {"begin": "__init__", "add": "add", "finish": "finish", "mark": "archived"}[where]
        patch.setattr(target, name, kill)
        with pytest.raises(Killed):
            await compact(hot, archive, "roma", HOUR, 5.0, 24)
    hot.expire()
    assert len(await hot.of_rider("roma", 1, HOUR_MS, HOUR_MS + AN_HOUR_MS)) == 300
    assert (await compact(hot, archive, "roma", HOUR, 5.0, 24)).fixes == 300
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["hour=08.parquet"]


async def test_a_fix_that_comes_meanwhile_keeps_the_hour_open(tmp_path: Path) -> None:
    """Its minute is not marked; the next round takes it in."""
    hot, archive = await hot_with(straight(60, 8.0)), ParquetArchive(str(tmp_path))
    part = hot.part

    async def and_one_more(*args: Any) -> Any:
        found = await part(*args)
        await hot.write("roma", 1, trail([(500, 4.0, 0.0)], session=2))
        return found

    hot.part = and_one_more  # type: ignore[method-assign, assignment]
    assert (await compact(hot, archive, "roma", HOUR, 5.0, 24)).changed == 1
    hot.part = part  # type: ignore[method-assign]
    assert await hot.next_open("roma", 0) == HOUR
    assert (await compact(hot, archive, "roma", HOUR, 5.0, 24)).fixes == 61


async def test_late_fixes_are_added_to_what_is_gone(tmp_path: Path) -> None:
    """The hot copy has expired, then a fix of that hour arrives: the archive keeps what it has and takes it in."""
    hot, archive = await hot_with(straight(300, 8.0), straight(100, 3.0, rider=7)), ParquetArchive(str(tmp_path))
    await compact(hot, archive, "roma", HOUR, 5.0, 24)
    before = archive.read("roma", HOUR)
    hot.expire()
    await hot.write("roma", 1, trail([(0, 0, 0), (1000, 3, 0)], session=2, begin_ms=HOUR_MS + 3_000_000))
    await compact(hot, archive, "roma", HOUR, 5.0, 24)
    after = archive.read("roma", HOUR)
    assert before is not None
    assert after is not None
    late = after[0].ts_ms >= HOUR_MS + 3_000_000
    assert int(late.sum()) == 2
    assert same(after[0].take(~late), before[0])


@settings(max_examples=25, deadline=None)
@given(
    pieces=st.lists(
        st.lists(st.tuples(st.integers(0, 90_000), st.floats(-90, 90), st.floats(-90, 90)), min_size=1, max_size=12),
        min_size=1,
        max_size=4,
    ),
    gone=st.lists(st.booleans(), min_size=4, max_size=4),
)
def test_what_was_promised_stays_promised(pieces: list[list[tuple[int, float, float]]], gone: list[bool]) -> None:
    """Batches come one after another, and between them the hot copy may expire: every fix stays within the error."""
    stored, hot, ever = TrailColumns.none(), FixColumns.zeros(0), []
    for number, (steps, expires) in enumerate(zip(pieces, gone, strict=False)):
        batch = trail(steps, session=number + 1)
        hot = FixColumns.concat([chunk for _, chunk in chunks(FixColumns.concat([hot, batch]))])
        stored = archivable(hot, stored, 5.0)
        ever.append(batch)
        if expires:
            hot = FixColumns.zeros(0)
    newest = points_of(FixColumns.concat(ever))
    for row, at_ms in enumerate(newest.ts_ms.tolist()):
        there, _, _ = places_at(stored, at_ms)
        assert len(there) == 1
        if not any(gone[: len(pieces) - 1]):
            off_m = distances_m(there, places(newest.take(slice(row, row + 1))))
            assert float(off_m[0]) <= 5.0 + ROUNDING_M


async def test_an_archive_that_lies_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not read back as it was written is not put into place, and nothing may expire."""
    hot, archive = await hot_with(straight(300, 8.0)), ParquetArchive(str(tmp_path))
    add = ParquetHour.add

    def forget_one(self: ParquetHour, points: TrailColumns) -> None:
        add(self, points)
        self._digest.update(b"and one more")

    monkeypatch.setattr(ParquetHour, "add", forget_one)
    with pytest.raises(Exception, match="does not read back"):
        await compact(hot, archive, "roma", HOUR, 5.0, 24)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert await hot.next_open("roma", 0) == HOUR


async def test_duckdb_reads_it(tmp_path: Path) -> None:
    """The folders' names are columns; a rider of more than 63 bits is itself."""
    hot = await hot_with(straight(300, 8.0, rider=BIG_RIDER), straight(50, 2.0, begin_ms=HOUR_MS + AN_HOUR_MS))
    archive = ParquetArchive(str(tmp_path))
    for hour in (HOUR, HOUR + 1):
        await compact(hot, archive, "roma", hour, 5.0, 24)
    files = f"{tmp_path}/trails/**/*.parquet"
    found = duckdb.sql(
        "select city, day::varchar, hour, rider_id, count(*), sum(fixes), max(ts)::varchar"
        f" from read_parquet('{files}', hive_partitioning = true, filename = true)"
        ", lateral (select regexp_extract(filename, 'hour=(\\d+)', 1) as hour) group by all order by hour"
    ).fetchall()
    assert [row[:6] for row in found] == [
        ("roma", "2025-10-09", "08", BIG_RIDER, 2, 300),
        ("roma", "2025-10-09", "09", 1, 2, 50),
    ]
    assert archive.hours("roma") == [HOUR, HOUR + 1]
    chosen = archive.read("roma", HOUR, [BIG_RIDER])
    assert chosen is not None
    assert chosen[0].rider_id.tolist() == [BIG_RIDER] * 2
    assert archive.read("roma", HOUR, [5]) is not None
