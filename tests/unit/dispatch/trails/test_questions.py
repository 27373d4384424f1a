"""Where, near and distance over what is hot, what is archived, and what is half of each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from dispatch.trails import compact as compaction
from dispatch.trails.adapters.memory import MemoryTrails
from dispatch.trails.adapters.parquet import ParquetArchive
from dispatch.trails.compact import compact
from dispatch.trails.errors import BadSpan, NotHeard, TooMany
from dispatch.trails.interpolation import places_at
from dispatch.trails.model import HOUR_MS as AN_HOUR_MS
from dispatch.trails.model import TrailColumns
from dispatch.trails.service import TrailService
from node.clock import ManualClock
from node.errors import Invalid
from proto.fix_columns import FixColumns
from tests.unit.dispatch.shard.worlds import BIG_RIDER, DOWNTOWN
from tests.unit.dispatch.trails.worlds import E7_A_METRE, HOUR_MS, straight, trail

HOUR = HOUR_MS // AN_HOUR_MS
ERROR_M = 5.0
HERE = (DOWNTOWN.lat_e7, DOWNTOWN.lng_e7)


async def world(tmp_path: Path, state: str, *rides: FixColumns) -> TrailService:
    """The rides, hot, or archived and gone from MongoDB, or both at once."""
    hot, archive = MemoryTrails(), ParquetArchive(str(tmp_path))
    await hot.write("roma", 1, FixColumns.concat(rides))
    if state != "hot":
        while (hour := await hot.next_open("roma", 0)) is not None:
            await compact(hot, archive, "roma", hour, ERROR_M, 24)
    if state == "cold":
        hot.expire()
    # Half an hour later, or when the hot copy was to go.
    clock = ManualClock(HOUR_MS + (48 * AN_HOUR_MS if state == "cold" else 1_800_000))
    return TrailService(hot, archive, clock, error_m=ERROR_M, keep_h=24)


STATES = pytest.mark.parametrize("state", ["hot", "both", "cold"])


@STATES
async def test_where_a_rider_was(tmp_path: Path, state: str) -> None:
    """Between two fixes, at one, and over the border of an hour; nobody knows before the first and after the last."""
    ride = straight(120, 8.0, rider=BIG_RIDER, begin_ms=HOUR_MS - 60_000)
    trails = await world(tmp_path, state, ride)
    for off_s in (0.0, 10.5, 59.5, 60.0, 119.0):
        found = await trails.where("roma", BIG_RIDER, HOUR_MS - 60_000 + round(off_s * 1000))
        north_m = (found.lat_e7 - DOWNTOWN.lat_e7) / E7_A_METRE
        assert abs(north_m - 8.0 * off_s) <= 0.05 + found.error_m
        assert found.error_m == (ERROR_M if state == "cold" else 0.0)
    for off_ms in (-60_001, 59_001):
        with pytest.raises(NotHeard):
            await trails.where("roma", BIG_RIDER, HOUR_MS + off_ms)
    with pytest.raises(NotHeard):
        await trails.where("milano", BIG_RIDER, HOUR_MS)


@STATES
async def test_silence_is_not_filled(tmp_path: Path, state: str) -> None:
    """Between two fixes that are more than a minute apart the rider is nowhere, and drove nothing."""
    trails = await world(tmp_path, state, trail([(0, 0, 0), (1000, 8, 0), (90_000, 900, 0), (1000, 908, 0)]))
    with pytest.raises(NotHeard):
        await trails.where("roma", 1, HOUR_MS + 30_000)
    driven = await trails.distance("roma", 1, HOUR_MS, HOUR_MS + 100_000)
    assert abs(driven.distance_m - 16) <= 0.5
    assert driven.heard_ms == 2_000


@STATES
async def test_who_was_near(tmp_path: Path, state: str) -> None:
    """The nearest first, at that very moment, wherever else they were in that minute; limits are obeyed."""
    away = [straight(100, 8.0, rider=n, begin_ms=HOUR_MS + 1000 * n) for n in range(2, 6)]
    far = trail([(0, 9_000, 0), (50_000, 9_000, 0)], rider=9)
    trails = await world(tmp_path, state, straight(100, 0.0), *away, far)
    found = await trails.near("roma", HERE, HOUR_MS + 20_000, 140.0, 10)
    assert [one.where.rider_id for one in found] == [1, 5, 4, 3]
    assert [round(one.distance_m / 8) for one in found] == [0, 15, 16, 17]
    assert [one.where.rider_id for one in await trails.near("roma", HERE, HOUR_MS + 20_000, 140.0, 2)] == [1, 5]
    assert await trails.near("roma", HERE, HOUR_MS - 600_000, 140.0, 10) == []


class ClosedArchive(ParquetArchive):
    """An archive that nobody may read."""

    def read(self, city: str, hour: int, rider_ids: Sequence[int] | None = None) -> tuple[TrailColumns, float] | None:
        raise AssertionError("an archived hour was read")

    def around(self, city: str, hour: int, at_ms: int, most: int) -> tuple[TrailColumns, float] | None:
        raise AssertionError("an archived hour was read")


async def test_what_is_all_hot_is_not_looked_for_in_the_archive(tmp_path: Path) -> None:
    """Within the hours that trails are kept, nothing is read from it when the hot trails have an answer."""
    hot, clock = MemoryTrails(), ManualClock(HOUR_MS + 23 * AN_HOUR_MS)
    await hot.write("roma", 1, straight(60, 0.0))
    trails = TrailService(hot, ClosedArchive(str(tmp_path)), clock, error_m=ERROR_M, keep_h=24)
    assert len(await trails.near("roma", HERE, HOUR_MS + 20_000, 140.0, 10)) == 1
    assert (await trails.where("roma", 1, HOUR_MS + 20_000)).error_m == 0
    clock.advance(AN_HOUR_MS)
    with pytest.raises(AssertionError):
        await trails.near("roma", HERE, HOUR_MS + 20_000, 140.0, 10)


async def test_a_trail_that_is_half_gone_is_found_in_the_archive(tmp_path: Path) -> None:
    """After a day a late fix may be all that is hot of an hour: the others are found where they were archived."""
    hot, archive = MemoryTrails(), ParquetArchive(str(tmp_path))
    await hot.write("roma", 1, straight(60, 0.0))
    await compact(hot, archive, "roma", HOUR, ERROR_M, 24)
    hot.expire()
    await hot.write("roma", 1, straight(60, 0.0, rider=2))
    trails = TrailService(hot, archive, ManualClock(HOUR_MS + 25 * AN_HOUR_MS), error_m=ERROR_M, keep_h=24)
    found = await trails.near("roma", HERE, HOUR_MS + 20_000, 140.0, 10)
    assert sorted(one.where.rider_id for one in found) == [1, 2]


async def test_an_archived_moment_costs_what_its_riders_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over several row groups: two points a rider at most, those that the whole hour would have told; bounded."""
    monkeypatch.setattr(compaction, "GROUP", 7)
    draw = np.random.default_rng(20261123)
    rides = [
        trail([(int(draw.integers(1, 40_000)), *draw.uniform(-3_000, 3_000, 2)) for _ in range(40)], rider=n)
        for n in range(1, 31)
    ]
    hot, archive = MemoryTrails(), ParquetArchive(str(tmp_path))
    await hot.write("roma", 1, FixColumns.concat(rides))
    await compact(hot, archive, "roma", HOUR, ERROR_M, 24)
    whole = archive.read("roma", HOUR)
    assert whole is not None
    for at_ms in (HOUR_MS - 1, HOUR_MS, HOUR_MS + 300_000, int(whole[0].ts_ms[17]), HOUR_MS + AN_HOUR_MS):
        part = archive.around("roma", HOUR, at_ms, 30)
        assert part is not None
        assert len(part[0]) <= 60
        assert part[1] == whole[1]
        wanted, found = places_at(whole[0], at_ms), places_at(part[0], at_ms)
        assert np.array_equal(wanted[0], found[0])
        assert np.array_equal(whole[0].rider_id[wanted[1]], part[0].rider_id[found[1]])
    with pytest.raises(TooMany):
        archive.around("roma", HOUR, HOUR_MS, 29)
    assert archive.around("roma", HOUR + 1, HOUR_MS, 30) is None


async def test_near_agrees_with_looking_at_everybody(tmp_path: Path) -> None:
    """Random rides: the same riders as by asking where each of them was."""
    draw = np.random.default_rng(20261123)
    rides = [
        trail([(int(draw.integers(1, 40_000)), *draw.uniform(-3_000, 3_000, 2)) for _ in range(12)], rider=n)
        for n in range(1, 40)
    ]
    trails = await world(tmp_path, "hot", *rides)
    at_ms = HOUR_MS + 120_000
    found = {one.where.rider_id for one in await trails.near("roma", HERE, at_ms, 1_500.0, 100)}
    wanted = set()
    for rider in range(1, 40):
        try:
            where = await trails.where("roma", rider, at_ms)
        except NotHeard:
            continue
        north, east = (where.lat_e7 - HERE[0]) / E7_A_METRE, (where.lng_e7 - HERE[1]) / E7_A_METRE
        if np.hypot(north, east * np.cos(np.radians(HERE[0] / 1e7))) <= 1_500:
            wanted.add(rider)
    assert found == wanted
    assert wanted


@STATES
async def test_the_distance_driven(tmp_path: Path, state: str) -> None:
    """An even ride over the border of an hour, and a part of it; standing and trembling is no way driven."""
    ride = straight(1200, 8.0, begin_ms=HOUR_MS - 600_000)
    draw = np.random.default_rng(7)
    trembling = trail([(1000, *draw.normal(0, 1.2, 2)) for _ in range(600)], rider=2)
    trails = await world(tmp_path, state, ride, trembling)
    driven = await trails.distance("roma", 1, HOUR_MS - 600_000, HOUR_MS + 600_000)
    assert abs(driven.distance_m - 1199 * 8) < 10
    assert driven.heard_ms == 1_199_000
    part = await trails.distance("roma", 1, HOUR_MS - 10_500, HOUR_MS + 10_500)
    assert abs(part.distance_m - 21 * 8) < 1
    assert (await trails.distance("roma", 2, HOUR_MS, HOUR_MS + 600_000)).distance_m < 30


async def test_questions_are_bounded(tmp_path: Path) -> None:
    """Too long, too wide, too many: a typed error that says so."""
    trails = await world(tmp_path, "hot", straight(10, 8.0))
    with pytest.raises(BadSpan):
        await trails.distance("roma", 1, HOUR_MS, HOUR_MS + 32 * 24 * AN_HOUR_MS)
    with pytest.raises(BadSpan):
        await trails.distance("roma", 1, HOUR_MS, HOUR_MS)
    for radius_m, limit in ((0.0, 10), (20_001.0, 10), (float("nan"), 10), (100.0, 0), (100.0, 1001)):
        with pytest.raises(Invalid):
            await trails.near("roma", HERE, HOUR_MS, radius_m, limit)
    with pytest.raises(TooMany):
        await MemoryTrails.around(trails._hot, "roma", HERE, 100.0, HOUR_MS, HOUR_MS, 0)  # type: ignore[arg-type]
