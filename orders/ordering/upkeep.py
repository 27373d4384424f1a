"""Do the hourly work on the databases of orders: make partitions ahead, delete what is old, renew the recent index."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from node.errors import Retryable
from node.retry import every, warned

EVERY_S = 3600.0


class MaintainedDatabase(Protocol):
    """A database of orders. Each call may raise `Retryable` and is safe to repeat."""

    async def make_partitions(self) -> None:
        """Make the partitions of the months around now."""

    async def forget(self) -> None:
        """Delete what has grown old."""


class DailyIndex(Protocol):
    """An index that is made anew when the day changes."""

    async def renew(self) -> object:
        """Bring it to today. Raises `Retryable`."""


@dataclass(frozen=True, slots=True)
class OrderUpkeep:
    """Does the hourly work, in every database."""

    databases: Sequence[MaintainedDatabase]
    indexes: Sequence[DailyIndex]
    log: structlog.stdlib.BoundLogger

    async def run(self) -> None:
        """Work until cancelled."""
        await every(EVERY_S, self.once, warned(self.log, "upkeep put off"), first_s=EVERY_S)

    async def once(self) -> None:
        """Do one round, what orders cannot do without first. What fails is put off and holds up nothing else."""
        jobs: list[Callable[[], Awaitable[object]]] = [
            *(database.make_partitions for database in self.databases),
            *(database.forget for database in self.databases),
            *(index.renew for index in self.indexes),
        ]
        for job in jobs:
            try:
                await job()
            except Retryable as error:
                self.log.warning("upkeep put off", error=str(error))
