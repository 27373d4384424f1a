"""What the databases of orders need now and then: partitions made ahead, sent messages and old keys forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from node.errors import Retryable

EVERY_S = 3600.0


class Kept(Protocol):
    """A database of orders. Each call may raise `Retryable` and is safe to repeat."""

    async def make_partitions(self) -> None:
        """Makes the partitions of the months around now."""

    async def forget(self) -> None:
        """Deletes what has grown old."""


class Renewed(Protocol):
    """An index that is made anew when the day changes."""

    async def renew(self) -> object:
        """Brings it to today. May raise `Retryable`."""


@dataclass(frozen=True, slots=True)
class Upkeep:
    """Does it each hour, in every database."""

    stores: Sequence[Kept]
    recent: Sequence[Renewed]
    log: structlog.stdlib.BoundLogger

    async def run(self) -> None:
        """Works until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            await self.once()

    async def once(self) -> None:
        """One round, what orders cannot do without first. What fails is put off and holds up nothing else."""
        jobs: list[Callable[[], Awaitable[object]]] = [
            *(store.make_partitions for store in self.stores),
            *(store.forget for store in self.stores),
            *(index.renew for index in self.recent),
        ]
        for job in jobs:
            try:
                await job()
            except Retryable as error:
                self.log.warning("upkeep put off", error=str(error))
