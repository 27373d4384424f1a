"""A shard: the cities in its memory, each with its runner. The lease says what to take and what to drop."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial

from dispatch.metrics import refused_total
from dispatch.shard.dependencies import Dependencies
from dispatch.shard.live_city import LiveCity
from dispatch.shard.runner import CityRunner
from dispatch.shard.shadow import Shadow
from node.errors import Retryable
from shard_router.errors import NotOwner
from shard_router.leases.host import CityHost
from shard_router.leases.slots import Slots
from shard_router.topology import CityLoad, Ownership, ShardLoad

#: A call for a city that is just being taken waits for it this long, wall seconds.
_TAKING_S = 2.0


class Loading(asyncio.Event):
    """A city that is being loaded; set once it runs or could not be loaded."""


class Shard(CityHost):
    """The host of the lease's cities, and the door through which calls find a city."""

    def __init__(self, shard_id: str, dependencies: Dependencies, slots: Slots) -> None:
        self.shard_id = shard_id
        self._dependencies = dependencies
        self._slots = slots
        #: Each city by what it is here: followed, being loaded, or run.
        self._hosted: dict[str, Shadow | Loading | CityRunner] = {}

    def runner(self, name: str) -> CityRunner | None:
        """The runner of a city that runs here."""
        hosted = self._hosted.get(name)
        return hosted if isinstance(hosted, CityRunner) else None

    def city(self, name: str) -> LiveCity:
        """A city that this shard may speak for. Raises `NotOwner`."""
        runner = self.runner(name)
        if runner is None or not self._slots.holds(name, runner.city.epoch):
            raise NotOwner(name)
        return runner.city

    async def soon(self, name: str) -> LiveCity:
        """Like `city`, but waits for a city that is just being taken. Raises `NotOwner`."""
        hosted = self._hosted.get(name)
        if isinstance(hosted, Loading):
            with suppress(TimeoutError):
                async with asyncio.timeout(_TAKING_S):
                    await hosted.wait()
        return self.city(name)

    def load(self) -> ShardLoad:
        """Load that the heartbeat reports."""
        hosted = self._hosted.items()
        cities = {name: _load(runner.city) for name, runner in hosted if isinstance(runner, CityRunner)}
        return ShardLoad(
            riders=sum(load.riders for load in cities.values()),
            open_orders=sum(load.open_orders for load in cities.values()),
            tick_p99_ms=max((load.tick_p99_ms for load in cities.values()), default=0.0),
            refused=refused_total(),
            cities=cities,
            shadows={name: shadow.behind for name, shadow in hosted if isinstance(shadow, Shadow)},
        )

    async def take(self, ownership: Ownership) -> None:
        """Loads a city, from its shadow if there is one, and begins to run it."""
        before, loading = self._hosted.get(ownership.city), Loading()
        self._hosted[ownership.city] = loading
        try:
            shadow = before if isinstance(before, Shadow) else None
            self._hosted[ownership.city] = await self._loaded(ownership, shadow)
        except BaseException:
            del self._hosted[ownership.city]
            raise
        finally:
            loading.set()

    async def _loaded(self, ownership: Ownership, shadow: Shadow | None) -> CityRunner:
        """A runner that has begun. When this raises, it has ended again."""
        holds = partial(self._slots.holds, ownership.city, ownership.epoch)
        runner = await self._from_shadow(shadow, ownership) if shadow is not None else None
        runner = runner or await CityRunner.load(ownership, self._dependencies, holds)
        try:
            if not holds():
                raise Retryable(f"{ownership.city} was lost while it was loaded", reason="NOT_OWNER")
            runner.begin()
        except BaseException:
            await runner.end()
            raise
        return runner

    async def _from_shadow(self, shadow: Shadow, ownership: Ownership) -> CityRunner | None:
        """The city as its shadow has it; None when that does not fit, then it is loaded."""
        try:
            city, logs = await shadow.become(ownership)
        except Exception as error:  # noqa: BLE001  whatever it is: the database has all that the shadow has
            self._dependencies.log.warning("shadow not used", city=ownership.city, error=repr(error))
            return None
        holds = partial(self._slots.holds, city.name, city.epoch)
        return CityRunner(city, logs, self._dependencies, holds, from_shadow=True)

    async def failure(self, city: str, epoch: int) -> None:
        """Returns when a part of the city has failed, or nothing of it runs."""
        if (runner := self._running(city, epoch)) is not None:
            await runner.failed.wait()

    async def first_tick(self, city: str, epoch: int) -> None:
        """Returns once a tick of the city could commit here."""
        if (runner := self._running(city, epoch)) is not None:
            await runner.ticker.ticked.wait()

    async def settle(self, city: str, epoch: int) -> float:
        """Ends the tick under way, begins no other, stores the final cut. Seconds since the last tick."""
        runner = self._running(city, epoch)
        return await runner.settle() if runner is not None else 0.0

    async def drop(self, city: str, epoch: int, reason: str) -> None:
        """Ends a city after the tick under way. Idempotent."""
        if (runner := self._running(city, epoch)) is not None:
            del self._hosted[city]
            await runner.end()

    async def shadow(self, ownership: Ownership) -> None:
        """Follows a city that another shard runs; returns when it is warm."""
        self._hosted[ownership.city] = await Shadow.begin(ownership, self._dependencies)

    async def unshadow(self, city: str) -> None:
        """Follows a city no longer. Idempotent."""
        if isinstance(shadow := self._hosted.get(city), Shadow):
            del self._hosted[city]
            await shadow.end()

    def _running(self, city: str, epoch: int) -> CityRunner | None:
        runner = self.runner(city)
        return runner if runner is not None and runner.city.epoch == epoch else None


def _load(city: LiveCity) -> CityLoad:
    return CityLoad(
        riders=sum(rider.online for rider in city.state.riders.values()),
        open_orders=len(city.state.orders),
        tick_p99_ms=city.counters.tick_percentiles_ms()[1],
    )
