"""A shard: the cities it owns, each with its runner. The lease tells it what to take and what to drop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from dispatch.live.city import City
from dispatch.live.parts import Parts
from dispatch.live.runner import CityRunner
from node.errors import Retryable
from shard_router.errors import NotOwner
from shard_router.leases import Ownership
from shard_router.topology import ShardLoad

#: Before a city is loaded again whose parts failed, wall seconds: the first time, and at most.
_RELOAD_PAUSE_S = (0.2, 5.0)


class Shard:
    """`CityHost` of the lease, and the door through which calls find a city."""

    def __init__(self, shard_id: str, parts: Parts, holds: Callable[[str, int], bool]) -> None:
        self.shard_id = shard_id
        self._parts = parts
        self._holds = holds
        #: By city; changed by `take` and `drop`.
        self.runners: dict[str, CityRunner] = {}
        self._reloads: set[asyncio.Task[None]] = set()
        self._pause_s: dict[str, float] = {}

    @property
    def cities(self) -> Mapping[str, City]:
        """The cities that run here."""
        return {name: runner.city for name, runner in self.runners.items()}

    def city(self, name: str) -> City:
        """A city that this shard may speak for. Raises `NotOwner`."""
        runner = self.runners.get(name)
        if runner is None or not self._holds(name, runner.city.epoch):
            raise NotOwner(name)
        return runner.city

    def load(self) -> ShardLoad:
        """What the heartbeat reports."""
        cities = [runner.city for runner in self.runners.values()]
        return ShardLoad(
            riders=sum(rider.online for city in cities for rider in city.state.riders.values()),
            open_orders=sum(len(city.state.orders) for city in cities),
            tick_p99_ms=max((city.counters.tick_percentiles_ms()[1] for city in cities), default=0.0),
        )

    async def take(self, ownership: Ownership) -> None:
        """Loads a city and begins to run it. Raises `Retryable`."""
        city, epoch = ownership.city, ownership.epoch
        runner = await CityRunner.load(ownership, self._parts, lambda: self._holds(city, epoch))
        if not self._holds(city, epoch):
            await runner.end()
            raise Retryable(f"{city} was lost while it was loaded", reason="NOT_OWNER")
        self.runners[city] = runner
        runner.begin(lambda error: self._reload_soon(runner, error))

    async def drop(self, city: str, epoch: int, reason: str) -> None:
        """Ends a city after the tick under way. Idempotent."""
        runner = self.runners.get(city)
        if runner is not None and runner.city.epoch == epoch:
            del self.runners[city]
            await runner.end()

    async def close(self) -> None:
        """Ends every city."""
        for task in self._reloads:
            task.cancel()
        for name, runner in list(self.runners.items()):
            await self.drop(name, runner.city.epoch, "the shard stops")

    def _reload_soon(self, runner: CityRunner, error: BaseException) -> None:
        """A part of the city failed: what is in memory may be wrong, what is in the database is not."""
        task = asyncio.create_task(self._reload(runner), name=f"reload:{runner.city.name}")
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)

    async def _reload(self, runner: CityRunner) -> None:
        ownership = runner.city.ownership
        if self.runners.get(ownership.city) is not runner:
            return
        await self.drop(ownership.city, ownership.epoch, "loaded again")
        while self._holds(ownership.city, ownership.epoch):
            pause_s = self._pause_s.get(ownership.city, _RELOAD_PAUSE_S[0])
            self._pause_s[ownership.city] = min(2 * pause_s, _RELOAD_PAUSE_S[1])
            await asyncio.sleep(pause_s)
            try:
                await self.take(ownership)
            except Retryable as error:
                self._parts.log.warning("reload failed", city=ownership.city, error=str(error))
            else:
                return
