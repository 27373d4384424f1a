"""Published borders in Postgres: checked and written under one lock, so that no two can overlap."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg

from node import postgres
from shard_router.borders import Border, Change, checked, overlaid
from shard_router.cities import City

_AFTER = """
select version, city, feature::text, actor, (extract(epoch from published_at) * 1000)::bigint as published_ms
from router.borders where version > $1 order by version
"""
_LOCK = "lock table router.borders in share row exclusive mode"
_PUBLISH = "insert into router.borders (city, feature, actor) values ($1, $2::jsonb, $3) returning version"
_TELL = """
insert into router.changes (city, epoch, what, actor)
select city, epoch, 'border', $2 from router.cities where city = $1
"""


class PostgresBorders:
    """Borders of the catalogue `shipped` and those published since, on a pool of database `core`."""

    def __init__(self, pool: asyncpg.Pool, shipped: Sequence[City]) -> None:
        self._pool = pool
        self._shipped = tuple(shipped)

    async def after(self, version: int) -> list[Border]:
        """Borders published after a version, oldest first. Raises `Retryable`."""
        async with postgres.session(self._pool) as session:
            return await _after(session, version)

    async def cities(self) -> tuple[City, ...]:
        """The catalogue as it is now. Raises `Retryable`."""
        return overlaid(self._shipped, await self.after(0))

    async def publish(self, feature: Mapping[str, Any], actor: str, *, dry_run: bool = False) -> tuple[int, Change]:
        """Checks a border and publishes it. Raises `BadCity` naming the place, or `Retryable`; then nothing changed."""
        async with postgres.session(self._pool) as session, session.transaction():
            await session.execute(_LOCK)
            cities = overlaid(self._shipped, await _after(session, 0))
            change = await asyncio.to_thread(checked, cities, feature)
            if dry_run:
                return 0, change
            version: int = await session.fetchval(_PUBLISH, change.city, json.dumps(feature), actor)
            await session.execute(_TELL, change.city, actor)
            return version, change


async def _after(session: Any, version: int) -> list[Border]:
    rows = await session.fetch(_AFTER, version)
    return [
        Border(row["version"], row["city"], json.loads(row["feature"]), row["actor"], row["published_ms"])
        for row in rows
    ]
