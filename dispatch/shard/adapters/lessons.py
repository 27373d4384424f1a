"""`LessonStore` in Postgres, and in memory."""

from __future__ import annotations

from pathlib import Path

import asyncpg

from dispatch.shard.lessons import Lesson
from node import postgres
from node.postgres import statements
from shard_router.leases import Ownership

SQL = statements(Path(__file__).with_name("lessons.sql"))

_TIMEOUT_S = 5.0


class PostgresLessonStore:
    """On a pool of database `core`, fenced by `router.hold`."""

    def __init__(self, pool: asyncpg.Pool, shard_id: str) -> None:
        self._pool = pool
        self._shard_id = shard_id

    async def last(self, city: str) -> Lesson | None:
        async with postgres.session(self._pool, _TIMEOUT_S) as session:
            row = await session.fetchrow(SQL["last_lesson"], city)
        return Lesson(row["learning"], row["version"] or "", row["model"] or b"") if row else None

    async def store(self, ownership: Ownership, lesson: Lesson) -> None:
        city = ownership.city
        async with postgres.session(self._pool, _TIMEOUT_S) as session, session.transaction():
            await session.execute(SQL["hold_city"], city, self._shard_id, ownership.epoch)
            if lesson.version:
                await session.execute(SQL["add_model"], city, lesson.version, lesson.model)
            await session.execute(SQL["put_lesson"], city, ownership.epoch, lesson.version or None, lesson.learning)
            await session.execute(SQL["forget_models"], city)


class MemoryLessonStore:
    """The same without a database and without a fence, for tests and simulations."""

    def __init__(self) -> None:
        self.lessons: dict[str, Lesson] = {}
        self.models: dict[tuple[str, str], bytes] = {}

    async def last(self, city: str) -> Lesson | None:
        return self.lessons.get(city)

    async def store(self, ownership: Ownership, lesson: Lesson) -> None:
        self.lessons[ownership.city] = lesson
        if lesson.version:
            self.models[ownership.city, lesson.version] = lesson.model
