"""Limit the calls of one service that are under way: one too many is refused at once, to be retried."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import Counter

from node.errors import Retryable

#: Calls of one service that may wait for the databases at the same time.
MAX_AT_ONCE = 512


class CallLimit:
    """Admits `at_once` calls at a time; `turned_away` counts the others. Nothing queues."""

    def __init__(self, turned_away: Counter, at_once: int = MAX_AT_ONCE) -> None:
        self._turned_away = turned_away
        self._free = asyncio.Semaphore(at_once)

    @asynccontextmanager
    async def admitted(self) -> AsyncIterator[None]:
        """Count a call as under way. Raises `Retryable` (`OVERLOADED`) when too many are."""
        if self._free.locked():
            self._turned_away.inc()
            raise Retryable("too many calls at once: try again in a moment", reason="OVERLOADED")
        async with self._free:
            yield
