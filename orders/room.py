"""Room for calls: so many may be under way at once, the next one is turned away and told to come again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import Counter

from node.errors import Retryable

#: Calls of one service that may wait for the databases at the same time.
MAX_AT_ONCE = 512


class Room:
    """For `at_once` calls; `turned_away` counts those that found none."""

    def __init__(self, turned_away: Counter, at_once: int = MAX_AT_ONCE) -> None:
        self._turned_away = turned_away
        self._free = asyncio.Semaphore(at_once)

    @asynccontextmanager
    async def admitted(self) -> AsyncIterator[None]:
        """Room for one call. Raises `Retryable` when there is none."""
        if self._free.locked():
            self._turned_away.inc()
            raise Retryable("too many calls at once: try again in a moment", reason="OVERLOADED")
        async with self._free:
            yield
