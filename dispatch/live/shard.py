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
        #: By city and epoch: the runner that failed, and the task that loads the city again.
        self._reloads: dict[tuple[str, int], tuple[CityRunner, asyncio.Task[None]]] = {}
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
        """Loads a city and begins to run it. Nothing of it runs when this raises, whatever it raises."""
        city, epoch = ownership.city, ownership.epoch
        runner = await CityRunner.load(ownership, self._parts, lambda: self._holds(city, epoch))
        if not self._holds(city, epoch):
            await runner.end()
            raise Retryable(f"{city} was lost while it was loaded", reason="NOT_OWNER")
        self.runners[city] = runner
        try:
            runner.begin(lambda _: self._reload_soon(runner))
        except BaseException:
            await self._end(runner)
            raise

    async def drop(self, city: str, epoch: int, reason: str) -> None:
        """Ends a city after the tick under way. Idempotent."""
        failed, reload = self._reloads.pop((city, epoch), (None, None))
        if failed is not None and reload is not None:
            reload.cancel()
            await asyncio.wait([reload])
            await failed.end()  # the reload may have been at it
        runner = self.runners.get(city)
        if runner is not None and runner.city.epoch == epoch:
            await self._end(runner)

    async def close(self) -> None:
        """Ends every city."""
        running = [(name, runner.city.epoch) for name, runner in self.runners.items()]
        for name, epoch in {*running, *self._reloads}:
            await self.drop(name, epoch, "the shard stops")

    async def _end(self, runner: CityRunner) -> None:
        if self.runners.get(runner.city.name) is runner:
            del self.runners[runner.city.name]
        await runner.end()

    def _reload_soon(self, runner: CityRunner) -> None:
        """A part of the city failed: what is in memory may be wrong, what is in the database is not."""
        key = (runner.city.name, runner.city.epoch)
        if self.runners.get(runner.city.name) is not runner or self._reloads.get(key, (None,))[0] is runner:
            return
        task = asyncio.create_task(self._reload(runner), name=f"reload:{runner.city.name}")
        self._reloads[key] = (runner, task)

        def done(ended: asyncio.Task[None]) -> None:
            if self._reloads.get(key, (None, None))[1] is ended:
                del self._reloads[key]

        task.add_done_callback(done)

    async def _reload(self, runner: CityRunner) -> None:
        """Loads the city until it runs. Whatever stands in the way: an owned city must not be run by nobody.

        Only `drop` ends this: a lease that is late by our count may yet be renewed.
        """
        ownership = runner.city.ownership
        try:
            await self._end(runner)
        except Exception as error:
            self._parts.log.error("end failed", city=ownership.city, exc_info=error)
        while True:
            pause_s = self._pause_s.get(ownership.city, _RELOAD_PAUSE_S[0])
            self._pause_s[ownership.city] = min(2 * pause_s, _RELOAD_PAUSE_S[1])
            await asyncio.sleep(pause_s)
            try:
                await self.take(ownership)
            except Retryable as error:
                self._parts.log.warning("reload failed", city=ownership.city, error=str(error))
            except Exception as error:
                self._parts.log.error("reload failed", city=ownership.city, exc_info=error)
            else:
                return
