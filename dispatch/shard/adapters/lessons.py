"""`LessonStore` in Postgres, and in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from dispatch.shard.lessons import Lesson
from node import postgres
from node.postgres import statements
from shard_router.topology import Ownership

SQL = statements(__file__)

_TIMEOUT_S = 5.0


class PostgresLessonStore:
    """On a pool of database `core`, fenced by `router.hold`."""

    def __init__(self, pool: asyncpg.Pool, shard_id: str) -> None:
        self._pool = pool
        self._shard_id = shard_id

    async def take_over(self, ownership: Ownership) -> Lesson | None:
        city = ownership.city
        async with self._fenced(ownership) as session:
            await session.execute(SQL.keep_owner_lesson, city)
            row = await session.fetchrow(SQL.last_lesson, city)
        return Lesson(row["learning"], row["version"] or "", row["model"] or b"") if row else None

    async def store(self, ownership: Ownership, lesson: Lesson) -> None:
        city = ownership.city
        async with self._fenced(ownership) as session:
            if lesson.version:
                await session.execute(SQL.add_model, city, lesson.version, lesson.model)
            await session.execute(SQL.put_lesson, city, ownership.epoch, lesson.version or None, lesson.learning)
            await session.execute(SQL.forget_models, city)
            await session.execute(SQL.forget_owner_lessons, city)

    @asynccontextmanager
    async def _fenced(self, ownership: Ownership) -> AsyncIterator[Any]:
        """A transaction that begins with the check of the ownership."""
        async with postgres.session(self._pool, _TIMEOUT_S) as session, session.transaction():
            await session.execute(SQL.hold_city, ownership.city, self._shard_id, ownership.epoch)
            yield session


class MemoryLessonStore:
    """The same without a database and without a fence, for tests and simulations."""

    def __init__(self) -> None:
        self.lessons: dict[str, Lesson] = {}
        self.models: dict[tuple[str, str], bytes] = {}
        self.begun_with: dict[str, bytes] = {}

    async def take_over(self, ownership: Ownership) -> Lesson | None:
        lesson = self.lessons.get(ownership.city)
        if lesson is not None:
            self.begun_with[lesson.name] = lesson.learning
        return lesson

    async def store(self, ownership: Ownership, lesson: Lesson) -> None:
        self.lessons[ownership.city] = lesson
        if lesson.version:
            self.models[ownership.city, lesson.version] = lesson.model
