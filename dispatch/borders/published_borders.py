"""Follow the borders of cities for all loans of a shard. Without the shard router it neither lends nor borrows."""

from __future__ import annotations

import asyncio

import structlog

from dispatch.borders.loan_exchange import LoanDependencies, LoanExchange
from dispatch.borders.reach import NeighbourReach
from dispatch.shard.live_city import LiveCity
from node.retry import every, warned
from shard_router.cities.adapters.postgres import PostgresBorders
from shard_router.cities.catalogue import load_cities

#: Published borders are looked for this often, wall seconds.
_LOOK_EVERY_S = 10.0


class PublishedBorders:
    """The loan exchanges of a shard, and the published borders they go by."""

    def __init__(
        self, dependencies: LoanDependencies, borders: PostgresBorders, log: structlog.stdlib.BoundLogger
    ) -> None:
        self._dependencies = dependencies
        self._borders = borders
        self._log = log
        self._reach = NeighbourReach(load_cities())
        self._version = 0

    @property
    def reach(self) -> NeighbourReach:
        """The borders as they were last read."""
        return self._reach

    def exchange(self, city: LiveCity) -> LoanExchange:
        """The loans of one city."""
        log = self._log.bind(city=city.name, epoch=city.epoch)
        return LoanExchange(city, self._dependencies, lambda: self._reach, log)

    async def run(self) -> None:
        """Follow published borders until cancelled.

        Not as `BorderFollower` does: that works out the cells of all cities, half a second in which ticks stutter,
        and nothing here needs them.
        """
        await every(_LOOK_EVERY_S, self._read_new, warned(self._log, "borders not read; the last ones hold"))

    async def _read_new(self) -> None:
        fresh = await self._borders.newest(self._version)
        if not fresh:
            return
        try:
            self._reach = await asyncio.to_thread(NeighbourReach, await self._borders.cities())
        except ValueError as error:
            self._log.error("a stored border cannot be read; the last ones hold", error=str(error))
        self._version = fresh[-1].version
