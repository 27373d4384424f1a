"""Puts together what a shard needs to lend and borrow riders. Without the shard router it does neither."""

from __future__ import annotations

import asyncio

import asyncpg
import structlog

from dispatch.borders.adapters.loans import GrpcNeighbours, PostgresLoanBook
from dispatch.borders.loan_exchange import LoanExchange
from dispatch.borders.ports import BorderLogs
from dispatch.borders.reach import NeighbourReach
from dispatch.engine.params import EngineParams
from dispatch.shard.live_city import LiveCity
from dispatch.shard.ports import Announcements
from dispatch.shard.solver import Solving
from node.clock import Clock
from node.retry import every, warned
from shard_router.cities.adapters.postgres import PostgresBorders
from shard_router.cities.catalogue import load_cities
from shard_router.client import Directory

#: Borders that were published are heard of after at most so long, wall seconds.
_LOOK_EVERY_S = 10.0


class Borders:
    """The neighbourhood of all cities of a shard."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        directory: Directory,
        logs: BorderLogs,
        announcements: Announcements,
        solver: Solving,
        params: EngineParams,
        clock: Clock,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self.directory = directory
        self.logs = logs
        self._book = PostgresLoanBook(pool)
        self._borders = PostgresBorders(pool, load_cities())
        self._announcements = announcements
        self._solver = solver
        self._params = params
        self._clock = clock
        self._log = log
        self._reach = NeighbourReach(load_cities())
        self._version = 0

    @property
    def reach(self) -> NeighbourReach:
        """The borders as they were last heard of."""
        return self._reach

    def exchange(self, city: LiveCity) -> LoanExchange:
        """The loans of one city."""
        return LoanExchange(
            city,
            lambda: self._reach,
            self._book,
            self.logs,
            GrpcNeighbours(self.directory),
            self._announcements,
            self._solver,
            self._params,
            self._clock,
            self._log.bind(city=city.name, epoch=city.epoch),
        )

    async def run(self) -> None:
        """Follows published borders until cancelled.

        Not as `BorderFollower` does: that works out the cells of all cities, half a second in which ticks stutter,
        and nothing here needs them.
        """
        await every(_LOOK_EVERY_S, self._look, warned(self._log, "borders not heard; the last ones hold"))

    async def _look(self) -> None:
        fresh = await self._borders.newest(self._version)
        if not fresh:
            return
        try:
            self._reach = await asyncio.to_thread(NeighbourReach, await self._borders.cities())
        except ValueError as error:
            self._log.error("a stored border cannot be read; the last ones hold", error=str(error))
        self._version = fresh[-1].version
