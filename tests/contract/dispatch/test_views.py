"""One suite for the views of last positions and of trails: in memory, Redis and MongoDB."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from deploy.stack.stack import LocalStack
from dispatch.logs.cut import Cut
from dispatch.shard.adapters import redis as redis_adapter
from dispatch.shard.adapters.memory import MemoryPositionsView
from dispatch.shard.adapters.mongo import MongoLastView
from dispatch.shard.ports import PositionsView
from dispatch.trails.adapters import mongo as mongo_trails
from dispatch.trails.adapters.memory import MemoryTrails
from dispatch.trails.adapters.mongo_history import MongoHotTrails, MongoOpenHours
from dispatch.trails.errors import BadSpan, TooMany
from dispatch.trails.model import HOUR_MS
from dispatch.trails.ports import HotTrails, OpenHours, TrailStore
from node import mongo
from node.retry import QUICK
from proto.fix_columns import FixColumns
from tests.unit.dispatch.shard.worlds import BIG_RIDER, DOWNTOWN, NOON_MS, fixes

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

    yield ViewBench(MongoLastView(client, lambda riders: ["idle"] * len(riders), database), in_mongo, city)
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


@pytest.mark.parametrize("bench", ["memory", "redis"], indirect=True)
async def test_a_store_that_lost_everything_says_so(bench: ViewBench) -> None:
    """Of a city that it knows nothing of, however little is written; a former owner's write hides nothing."""
    nobody = FixColumns.zeros(0)
    assert not await bench.view.write(bench.city, 2, nobody)
    assert await bench.view.write(bench.city, 2, fixes({1: (0, 0)}))
    assert await bench.view.write(bench.city, 1, fixes({2: (0, 0)}))
    if isinstance(bench.view, MemoryPositionsView):
        bench.view.lose()
    else:
        assert isinstance(bench.view, redis_adapter.RedisGeoView)
        await bench.view._redis.delete(*redis_adapter._keys(bench.city))
    assert not await bench.view.write(bench.city, 2, fixes({3: (0, 0)}))


@dataclass
class TrailBench:
    """A store of trails, and what is asked of it."""

    store: TrailStore
    hot: HotTrails
    hours: OpenHours

    async def write(self, city: str, epoch: int, fixes: FixColumns) -> None:
        """Into the store."""
        await self.store.write(city, epoch, fixes)

    async def trail(self, city: str, rider_id: int, from_ms: int, to_ms: int) -> FixColumns:
        """Of a rider."""
        return await self.hot.of_rider(city, rider_id, from_ms, to_ms)


@pytest_asyncio.fixture(params=["memory", "mongo"], loop_scope="session")
async def trails(request: pytest.FixtureRequest, stack: LocalStack) -> AsyncIterator[TrailBench]:
    """No trails yet; with an archive."""
    if request.param == "memory":
        memory = MemoryTrails()
        yield TrailBench(memory, memory, memory)
        return
    client = mongo.connect(stack.env["FORNO_MONGO_URL"])
    name = f"test_{uuid.uuid4().hex[:8]}"
    store = mongo_trails.MongoTrailStore(client, None, name)
    yield TrailBench(store, MongoHotTrails(client, name), MongoOpenHours(client, name))
    await client.drop_database(name)
    await client.close()


async def test_a_trail_is_a_set(trails: TrailBench) -> None:
    """Pieces in any order, some twice, over a minute's border: one trail, each fix once, in order."""
    pieces = [fixes({BIG_RIDER: (n, n)}, seq=n, ts_ms=NOON_MS + 20_000 * n) for n in range(6)]
    for n in (3, 0, 1, 0, 5, 4, 2, 5):
        await trails.write("roma", 1, pieces[n])
    trail = await trails.trail("roma", BIG_RIDER, NOON_MS, NOON_MS + 200_000)
    assert trail.seq.tolist() == [0, 1, 2, 3, 4, 5]
    assert trail.lat_e7.tolist() == [DOWNTOWN.lat_e7 + n for n in range(6)]
    assert trail.lat_e7.dtype == np.dtype("<i4")
    assert len(await trails.trail("milano", BIG_RIDER, NOON_MS, NOON_MS + 1)) == 0


async def test_writers_of_one_trail_erase_nothing(trails: TrailBench) -> None:
    """Owner and former owner write into the same minutes at once: every fix of both is there."""
    await trails.write("roma", 1, fixes({1: (0, 0), 2: (0, 0)}, seq=0, ts_ms=NOON_MS))
    for seq in range(1, 9):
        pieces = [fixes({1: (n, n), 2: (n, n)}, seq=n, ts_ms=NOON_MS + n) for n in (seq, 100 + seq)]
        writes = (partial(trails.write, "roma", 2 - n, piece) for n, piece in enumerate(pieces))
        # One that the other comes before again and again is told so, and tries again as the keeper of trails does.
        await asyncio.gather(*(QUICK.until_done(write, lambda error, pause_s: None) for write in writes))
    for rider in (1, 2):
        trail = await trails.trail("roma", rider, NOON_MS, NOON_MS + 1000)
        assert trail.seq.tolist() == [*range(9), *range(101, 109)]


@pytest.mark.parametrize("trails", ["mongo"], indirect=True)
async def test_a_thawed_owner_erases_nothing(trails: TrailBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was frozen between its look and its write looks again."""
    merge, newer = mongo_trails._trail_writes, fixes({1: (2, 2)}, seq=2, ts_ms=NOON_MS + 2)
    loop, frozen = asyncio.get_running_loop(), list[int]()

    def slow(*args: Any) -> Any:
        if not frozen:
            frozen.append(1)
            asyncio.run_coroutine_threadsafe(trails.write("roma", 2, newer), loop).result(10)
        return merge(*args)

    await trails.write("roma", 1, fixes({1: (0, 0)}, seq=0, ts_ms=NOON_MS))
    monkeypatch.setattr(mongo_trails, "_trail_writes", slow)
    await trails.write("roma", 1, fixes({1: (1, 1)}, seq=1, ts_ms=NOON_MS + 1))
    trail = await trails.trail("roma", 1, NOON_MS, NOON_MS + 10)
    assert trail.seq.tolist() == [0, 1, 2]


async def test_trails_go_on_where_they_ended(trails: TrailBench) -> None:
    """The position is kept; a former owner does not set it back."""
    assert await trails.store.position("roma") is None
    await trails.store.advance("roma", 2, Cut("log", 0, 10, 0))
    await trails.store.advance("roma", 1, Cut("log", 0, 3, 0))
    assert await trails.store.position("roma") == Cut("log", 0, 10, 0)


async def test_who_may_have_been_near(trails: TrailBench) -> None:
    """Riders whose minute reaches into the circle, with all their fixes of the span; the rest is left out."""
    for n, (north, east) in enumerate([(0, 0), (90_000, 0), (400_000, 0)]):  # 0, 1 and 4.4 km
        await trails.write("roma", 1, fixes({n + 1: (north, east)}, ts_ms=NOON_MS))
    far = fixes({4: (900_000, 0)}, seq=1, ts_ms=NOON_MS)
    await trails.write("roma", 1, FixColumns.concat([far, fixes({4: (700_000, 0)}, seq=2, ts_ms=NOON_MS + 60_000)]))
    here = (DOWNTOWN.lat_e7, DOWNTOWN.lng_e7)
    found = await trails.hot.around("roma", here, 1_200.0, NOON_MS - 60_000, NOON_MS + 60_000, 1000)
    assert sorted(set(found.rider_id.tolist())) == [1, 2]
    found = await trails.hot.around("roma", here, 8_000.0, NOON_MS - 60_000, NOON_MS + 60_000, 1000)
    assert sorted(found.rider_id.tolist()) == [1, 2, 3, 4, 4]
    assert len(await trails.hot.around("milano", here, 8_000.0, NOON_MS, NOON_MS, 1000)) == 0
    with pytest.raises(TooMany):
        await trails.hot.around("roma", here, 8_000.0, NOON_MS, NOON_MS, 2)


async def test_hours_are_open_until_archived(trails: TrailBench) -> None:
    """What was seen is marked; what changed since, or comes later, is open again."""
    hour = NOON_MS // HOUR_MS
    await trails.write("roma", 1, fixes({1: (0, 0), BIG_RIDER: (0, 0)}, ts_ms=NOON_MS))
    await trails.write("roma", 1, fixes({1: (0, 0)}, seq=2, ts_ms=NOON_MS + 2 * HOUR_MS))
    await trails.store.advance("roma", 1, Cut("log", 0, 1, 0))
    assert list(await trails.hours.cities()) == ["roma"]
    assert await trails.hours.riders("roma", hour) == [1, BIG_RIDER]
    part = await trails.hours.part("roma", hour, [1, BIG_RIDER])
    assert (len(part.fixes), len(part.seen)) == (2, 2)
    await trails.write("roma", 1, fixes({1: (5, 5)}, seq=3, ts_ms=NOON_MS + 1))
    assert await trails.hours.archived(part.seen, 24) == 1
    assert await trails.hours.next_open("roma", 0) == hour
    again = await trails.hours.part("roma", hour, [1, BIG_RIDER])
    assert await trails.hours.archived(again.seen, 24) == 0
    assert await trails.hours.next_open("roma", 0) == hour + 2
    assert await trails.hours.next_open("roma", hour + 3) is None
    await trails.write("roma", 1, fixes({BIG_RIDER: (9, 9)}, seq=9, ts_ms=NOON_MS + 2))
    assert await trails.hours.next_open("roma", 0) == hour


async def test_a_question_about_a_rider_is_bounded(stack: LocalStack) -> None:
    """More than 26 hours at once are refused."""
    client = mongo.connect(stack.env["FORNO_MONGO_URL"])
    with pytest.raises(BadSpan):
        await MongoHotTrails(client, "test_none").of_rider("roma", 1, NOON_MS, NOON_MS + 27 * HOUR_MS)
    await client.close()


async def test_views_have_their_indexes(stack: LocalStack) -> None:
    """2dsphere, (rider, status), TTL; what the rider does is told; a trail without an archive expires by itself."""
    client = mongo.connect(stack.env["FORNO_MONGO_URL"])
    name = f"test_{uuid.uuid4().hex[:8]}"
    await MongoLastView(client, lambda riders: ["to_pickup"] * len(riders), name).write("roma", 1, fixes({1: (0, 0)}))
    await mongo_trails.MongoTrailStore(client, 24, name).write("roma", 1, fixes({1: (0, 0)}))
    last, trail = client[name]["rider_last"], client[name]["rider_trail"]
    found = await last.index_information()
    assert found["rider_status"]["key"] == [("rider_id", 1), ("status", 1)]
    assert ("loc", "2dsphere") in found["near"]["key"]
    assert found["expiry_of_wall"]["expireAfterSeconds"] == 24 * 3600
    found = await trail.index_information()
    assert found["expiry_of_expires"]["expireAfterSeconds"] == 0
    assert ("loc", "2dsphere") in found["near_then"]["key"]
    one, piece = await last.find_one({}), await trail.find_one({})
    assert one is not None
    assert one["status"] == "to_pickup"
    assert piece is not None
    assert "open" not in piece
    assert (piece["expires"] - piece["wall"]).total_seconds() == 24 * 3600
    await client.drop_database(name)
    await client.close()
