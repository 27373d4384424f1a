"""Published borders in Postgres: checked and written under one lock, so that no two can overlap."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any, Final

import asyncpg

from node import postgres
from node.postgres import statements
from shard_router.cities.borders import Border, Change, checked, overlaid
from shard_router.cities.catalogue import City

SQL = statements(__file__)


#: A page ends with the border that fills it, so it is at most a page and a border long; an answer is far below what
#: the channel carries (`MAX_MESSAGE_BYTES`).
PAGE_BYTES: Final = 1 << 20
PAGE_BORDERS: Final = 1_000
_PREFETCH: Final = 10


@dataclass(frozen=True, slots=True)
class BorderQuery:
    """Borders after a version: of one city (empty: of all), the newest of each only, without the feature itself."""

    after_version: int
    city: str = ""
    newest_only: bool = False
    without_features: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """A page of borders, oldest first; `more` come after the last one's version."""

    borders: Sequence[Border]
    more: bool


class PostgresBorders:
    """Borders of the catalogue `shipped` and those published since, on a pool of database `core`."""

    def __init__(self, pool: asyncpg.Pool, shipped: Sequence[City]) -> None:
        self._pool = pool
        self._shipped = tuple(shipped)

    async def page(self, wanted: BorderQuery) -> Page:
        """The first of the wanted borders, oldest first, as many as make a page. Raises `Retryable`."""
        borders: list[Border] = []
        size = 0
        async with postgres.session(self._pool) as session, session.transaction(readonly=True):
            async for row in session.cursor(SQL.borders, *astuple(wanted), prefetch=_PREFETCH):
                if borders and (size >= PAGE_BYTES or len(borders) >= PAGE_BORDERS):
                    return Page(borders, more=True)
                size += len(row["feature"])
                borders.append(_border(row))
            return Page(borders, more=False)

    async def newest(self, after_version: int = 0) -> list[Border]:
        """The newest border of each city that has one after a version, oldest first. Raises `Retryable`."""
        async with postgres.session(self._pool) as session:
            return await _newest(session, after_version)

    async def cities(self) -> tuple[City, ...]:
        """The catalogue as it is now. Raises `Retryable`."""
        return overlaid(self._shipped, await self.newest())

    async def publish(self, document: Any, actor: str, *, dry_run: bool = False) -> tuple[int, Change]:
        """Checks a border and publishes it. Raises `BadCity` naming the place, or `Retryable`; then nothing changed."""
        async with postgres.session(self._pool) as session, session.transaction():
            await session.execute(SQL.lock)
            cities = overlaid(self._shipped, await _newest(session))
            change = await asyncio.to_thread(checked, cities, document)
            if dry_run:
                return 0, change
            version: int = await session.fetchval(SQL.publish, change.city, json.dumps(change.feature), actor)
            await session.execute(SQL.tell, change.city, actor)
            return version, change


async def _newest(session: Any, after_version: int = 0) -> list[Border]:
    return [_border(row) for row in await session.fetch(SQL.borders, after_version, "", True, False)]


def _border(row: Any) -> Border:
    feature = json.loads(row["feature"]) if row["feature"] else {}
    return Border(row["version"], row["city"], feature, row["actor"], row["published_ms"])
