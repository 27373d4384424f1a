"""One suite for the views of last positions and of trails: in memory, Redis and MongoDB."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from deploy.stack.stack import LocalStack
from dispatch.adapters import mongo
from dispatch.adapters import redis as redis_adapter
from dispatch.adapters.memory import MemoryPositionsView, MemoryTrailStore
from dispatch.live.cut import Cut
from dispatch.live.ports import PositionsView
from tests.unit.dispatch.live.worlds import BIG_RIDER, DOWNTOWN, NOON_MS, fixes

#: Of a GEO set: 52 bits for both coordinates; 1e-7 degrees.
COARSE_E7 = 60

Found = Callable[[str, int], Awaitable[tuple[int, int, int] | None]]


@dataclass
class ViewBench:
    """A view, and how to look into it: latitude, longitude (1e-7 degrees) and time."""

    view: PositionsView
    at: Found
    city: str


@pytest_asyncio.fixture(params=["memory", "redis", "mongo"], loop_scope="session")
async def bench(request: pytest.FixtureRequest, stack: LocalStack) -> AsyncIterator[ViewBench]:
    """An empty view."""
    city = f"city-{uuid.uuid4().hex[:8]}"
    if request.param == "memory":
        memory = MemoryPositionsView()
        yield ViewBench(memory, memory.at, city)
        return
    if request.param == "redis":
        redis = redis_adapter.connect(stack.env["FORNO_REDIS_URL"])

        async def in_redis(city: str, rider_id: int) -> tuple[int, int, int] | None:
            places = await redis.geopos(redis_adapter.geo_key(city), str(rider_id))
            ts_ms = await redis.hget(redis_adapter.geo_ts_key(city), str(rider_id))
            if places[0] is None or ts_ms is None:
                return None
            lng, lat = places[0]
            return round(lat * 1e7), round(lng * 1e7), int(ts_ms)

        yield ViewBench(redis_adapter.RedisGeoView(redis), in_redis, city)
        await redis.aclose()
        return
    client = mongo.connect(stack.env["FORNO_MONGO_URL"])
    database = f"test_{uuid.uuid4().hex[:8]}"

    async def in_mongo(city: str, rider_id: int) -> tuple[int, int, int] | None:
        found = await client[database]["rider_last"].find_one({"_id": f"{city}/{rider_id}"})
        if found is None:
            return None
        lng, lat = found["loc"]["coordinates"]
        return round(lat * 1e7), round(lng * 1e7), int(found["ts_ms"])

    yield ViewBench(mongo.MongoLastView(client, database), in_mongo, city)
    await client.drop_database(database)
    await client.close()


async def test_positions_are_written_and_overwritten(bench: ViewBench) -> None:
    """The last write of a rider is what is there; others stay."""
    await bench.view.write(bench.city, 1, fixes({1: (0, 0), BIG_RIDER: (500, 500)}))
    await bench.view.write(bench.city, 1, fixes({1: (7000, -7000)}, seq=2, ts_ms=NOON_MS + 1000))
    moved = await bench.at(bench.city, 1)
    assert moved is not None
    assert abs(moved[0] - DOWNTOWN.lat_e7 - 7000) <= COARSE_E7
    assert abs(moved[1] - DOWNTOWN.lng_e7 + 7000) <= COARSE_E7
    assert moved[2] == NOON_MS + 1000
    assert await bench.at(bench.city, BIG_RIDER) is not None
    assert await bench.at("elsewhere", 1) is None


async def test_silent_riders_are_removed(bench: ViewBench) -> None:
    """A removed rider is gone; removing it again does nothing."""
    await bench.view.write(bench.city, 1, fixes({1: (0, 0), 2: (0, 0)}))
    await bench.view.remove(bench.city, 1, [1])
    await bench.view.remove(bench.city, 1, [1])
    assert await bench.at(bench.city, 1) is None
    assert await bench.at(bench.city, 2) is not None


async def test_a_view_tells_who_is_in_it(bench: ViewBench) -> None:
    """Every rider of the city and no other, whoever wrote them."""
    assert await bench.view.riders(bench.city) == []
    await bench.view.write(bench.city, 1, fixes({1: (0, 0), BIG_RIDER: (0, 0)}))
    await bench.view.write(bench.city, 2, fixes({2: (0, 0)}))
    await bench.view.write(f"{bench.city}-2", 1, fixes({3: (0, 0)}))
    assert sorted(await bench.view.riders(bench.city)) == [1, 2, BIG_RIDER]


async def test_a_former_owner_changes_nothing(bench: ViewBench) -> None:
    """Writes and removals of a lower epoch are refused."""
    await bench.view.write(bench.city, 2, fixes({1: (0, 0)}))
    before = await bench.at(bench.city, 1)
    await bench.view.write(bench.city, 1, fixes({1: (9000, 9000)}, seq=9))
    await bench.view.remove(bench.city, 1, [1])
    assert await bench.at(bench.city, 1) == before


@pytest_asyncio.fixture(params=["memory", "mongo"], loop_scope="session")
async def trails(
    request: pytest.FixtureRequest, stack: LocalStack
) -> AsyncIterator[MemoryTrailStore | mongo.MongoTrailStore]:
    """No trails yet."""
    if request.param == "memory":
        yield MemoryTrailStore()
        return
    client = mongo.connect(stack.env["FORNO_MONGO_URL"])
    database = f"test_{uuid.uuid4().hex[:8]}"
    yield mongo.MongoTrailStore(client, 24, database)
    await client.drop_database(database)
    await client.close()


async def test_a_trail_is_a_set(trails: MemoryTrailStore | mongo.MongoTrailStore) -> None:
    """Pieces in any order, some twice, over a minute's border: one trail, each fix once, in order."""
    pieces = [fixes({BIG_RIDER: (n, n)}, seq=n, ts_ms=NOON_MS + 20_000 * n) for n in range(6)]
    for n in (3, 0, 1, 0, 5, 4, 2, 5):
        await trails.write("roma", 1, pieces[n])
    trail = await trails.trail("roma", BIG_RIDER, NOON_MS, NOON_MS + 200_000)
    assert trail is not None
    assert trail.seq.tolist() == [0, 1, 2, 3, 4, 5]
    assert trail.lat_e7.tolist() == [DOWNTOWN.lat_e7 + n for n in range(6)]
    assert trail.lat_e7.dtype == np.dtype("<i4")
    assert await trails.trail("milano", BIG_RIDER, NOON_MS, NOON_MS + 1) is None


async def test_writers_of_one_trail_erase_nothing(trails: MemoryTrailStore | mongo.MongoTrailStore) -> None:
    """Owner and former owner write into the same minutes at once: every fix of both is there."""
    await trails.write("roma", 1, fixes({1: (0, 0), 2: (0, 0)}, seq=0, ts_ms=NOON_MS))
    for seq in range(1, 9):
        pieces = [fixes({1: (n, n), 2: (n, n)}, seq=n, ts_ms=NOON_MS + n) for n in (seq, 100 + seq)]
        await asyncio.gather(*(trails.write("roma", 2 - n, piece) for n, piece in enumerate(pieces)))
    for rider in (1, 2):
        trail = await trails.trail("roma", rider, NOON_MS, NOON_MS + 1000)
        assert trail is not None
        assert trail.seq.tolist() == [*range(9), *range(101, 109)]


@pytest.mark.parametrize("trails", ["mongo"], indirect=True)
async def test_a_thawed_owner_erases_nothing(trails: mongo.MongoTrailStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was frozen between its look and its write looks again."""
    merge, newer = mongo._trail_writes, fixes({1: (2, 2)}, seq=2, ts_ms=NOON_MS + 2)
    loop, frozen = asyncio.get_running_loop(), list[int]()

    def slow(*args: Any) -> Any:
        if not frozen:
            frozen.append(1)
            asyncio.run_coroutine_threadsafe(trails.write("roma", 2, newer), loop).result(10)
        return merge(*args)

    await trails.write("roma", 1, fixes({1: (0, 0)}, seq=0, ts_ms=NOON_MS))
    monkeypatch.setattr(mongo, "_trail_writes", slow)
    await trails.write("roma", 1, fixes({1: (1, 1)}, seq=1, ts_ms=NOON_MS + 1))
    trail = await trails.trail("roma", 1, NOON_MS, NOON_MS + 10)
    assert trail is not None
    assert trail.seq.tolist() == [0, 1, 2]


async def test_trails_go_on_where_they_ended(trails: MemoryTrailStore | mongo.MongoTrailStore) -> None:
    """The position is kept; a former owner does not set it back."""
    assert await trails.position("roma") is None
    await trails.advance("roma", 2, Cut("log", 0, 10, 0))
    await trails.advance("roma", 1, Cut("log", 0, 3, 0))
    assert await trails.position("roma") == Cut("log", 0, 10, 0)
