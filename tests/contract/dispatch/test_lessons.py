"""One suite for every lesson store: in memory and Postgres. And quotes that a tick stores."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from dispatch.engine.eta.calibration import Quote, Stage
from dispatch.engine.model import OrderId, RiderId
from dispatch.engine.tracks import EtaOutcome, Track, TrackChanges
from dispatch.shard.adapters.lessons import MemoryLessonStore, PostgresLessonStore
from dispatch.shard.lessons import Lesson, LessonStore
from shard_router.fence import OwnershipLost
from tests.contract.dispatch.test_decision_log import CITY, owned
from tests.unit.dispatch.shard.worlds import NOON_MS, order, ownership, tick_of


@pytest_asyncio.fixture(params=["memory", "postgres"], loop_scope="session")
async def store(request: pytest.FixtureRequest, fresh_database: str) -> AsyncIterator[LessonStore]:
    """An empty store; in Postgres this shard owns the city in epoch 1."""
    if request.param == "memory":
        yield MemoryLessonStore()
        return
    async with owned(fresh_database) as (pool, _):
        yield PostgresLessonStore(pool, "shard-1")


async def test_lessons_are_replaced_and_picked_up(store: LessonStore) -> None:
    """None at first; then the last, with its model or without."""
    own = ownership(CITY)
    assert await store.take_over(own) is None
    await store.store(own, Lesson(b"first"))
    assert await store.take_over(own) == Lesson(b"first")
    await store.store(own, Lesson(b"second", "learned-1", b"model"))
    await store.store(own, Lesson(b"second", "learned-1", b"model"))
    assert await store.take_over(own) == Lesson(b"second", "learned-1", b"model")


async def test_a_former_owner_stores_nothing(fresh_database: str) -> None:
    """The fence is the database's."""
    async with owned(fresh_database) as (pool, _):
        with pytest.raises(OwnershipLost):
            await PostgresLessonStore(pool, "shard-1").store(ownership(CITY, epoch=0), Lesson(b"late"))
        with pytest.raises(OwnershipLost):
            await PostgresLessonStore(pool, "shard-1").take_over(ownership(CITY, epoch=0))
        assert await PostgresLessonStore(pool, "shard-1").take_over(ownership(CITY)) is None


async def test_what_each_owner_began_with_is_kept(fresh_database: str) -> None:
    """Under the name that its first tick tells, though the lessons were replaced since."""
    own = ownership(CITY)
    async with owned(fresh_database) as (pool, _):
        store = PostgresLessonStore(pool, "shard-1")
        await store.store(own, Lesson(b"first"))
        await store.take_over(own)
        await store.store(own, Lesson(b"second"))
        rows = await pool.fetch("select lesson, learning from dispatch.owner_lessons")
        assert [(row["lesson"], row["learning"]) for row in rows] == [(Lesson(b"first").name, b"first")]


async def test_quotes_of_a_delivery_are_stored_by_stage(fresh_database: str) -> None:
    """Three stages, three rows, with what came; and a track keeps its quotes."""
    quotes = tuple(
        Quote(stage, NOON_MS + i, NOON_MS + 60_000, 30_000, NOON_MS + 61_000, NOON_MS + 99_000)
        for i, stage in enumerate(Stage)
    )
    track = replace(Track(OrderId("a")), quotes=quotes)
    outcome = EtaOutcome(
        OrderId("a"), RiderId(1), NOON_MS, NOON_MS, NOON_MS + 61_000, NOON_MS + 99_000, NOON_MS + 70_000, quotes
    )
    own = ownership(CITY)
    async with owned(fresh_database) as (pool, log):
        await log.commit(tick_of(own, 1, orders=(order("a"),), tracks=TrackChanges((track,), (), (outcome,))))
        rows = await pool.fetch("select * from dispatch.eta_quotes order by made_ms")
        assert [row["stage"] for row in rows] == ["open", "assigned", "carried"]
        assert {row["delivered_ms"] - row["predicted_p90_ms"] for row in rows} == {-29_000}
        assert (await log.load(own, 0)).tracks == (track,)
