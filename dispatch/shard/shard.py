"""A shard: the cities it owns, each with its runner. The lease tells it what to take and what to drop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress

from dispatch.metrics import refused_total
from dispatch.shard.city import City
from dispatch.shard.parts import Parts
from dispatch.shard.runner import CityRunner
from dispatch.shard.shadow import Shadow
from node.errors import Retryable
from shard_router.errors import NotOwner
from shard_router.leases import Ownership
from shard_router.topology import CityLoad, ShardLoad

#: Before a city is loaded again whose parts failed, wall seconds: the first time, and at most.
_RELOAD_PAUSE_S = (0.2, 5.0)
#: A city that ran so long is sound: when a part fails later, the pauses begin anew. Wall seconds.
_SOUND_S = 60.0
#: So many failures without a sound run between them, and the city is left to others.
_FAILURES = 5
#: A call for a city that is just being taken waits for it this long, wall seconds.
_TAKING_S = 2.0


class Shard:
    """`CityHost` of the lease, and the door through which calls find a city."""

    def __init__(
        self,
        shard_id: str,
        parts: Parts,
        holds: Callable[[str, int], bool],
        give_up: Callable[[str, int, str], None] = lambda city, epoch, reason: None,
    ) -> None:
        self.shard_id = shard_id
        self._parts = parts
        self._holds = holds
        self._give_up = give_up
        #: By city; changed by `take` and `drop`.
        self.runners: dict[str, CityRunner] = {}
        #: By city and epoch: the runner that failed, and the task that loads the city again.
        self._reloads: dict[tuple[str, int], tuple[CityRunner, asyncio.Task[None]]] = {}
        #: By city: failures since its last sound run, and when it began to run last.
        self._failures: dict[str, int] = {}
        self._ran_s: dict[str, float] = {}
        self._shadows: dict[str, Shadow] = {}
        #: Set when the city runs or cannot be taken.
        self._taking: dict[str, asyncio.Event] = {}

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

    async def soon(self, name: str) -> City:
        """As `city`, but a city that is just being taken is waited for. Raises `NotOwner`."""
        taking = self._taking.get(name)
        if taking is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_TAKING_S):
                    await taking.wait()
        return self.city(name)

    def load(self) -> ShardLoad:
        """What the heartbeat reports."""
        cities = {name: _load(runner.city) for name, runner in self.runners.items()}
        return ShardLoad(
            riders=sum(load.riders for load in cities.values()),
            open_orders=sum(load.open_orders for load in cities.values()),
            tick_p99_ms=max((load.tick_p99_ms for load in cities.values()), default=0.0),
            refused=refused_total(),
            cities=cities,
            shadows={name: shadow.behind for name, shadow in self._shadows.items()},
        )

    async def take(self, ownership: Ownership) -> None:
        """Loads a city, from its shadow if there is one, and begins to run it.

        Nothing of it runs when this raises, whatever it raises.
        """
        city, epoch = ownership.city, ownership.epoch
        taking = self._taking[city] = asyncio.Event()
        try:
            runner = await self._from_shadow(ownership) or await CityRunner.load(
                ownership, self._parts, lambda: self._holds(city, epoch)
            )
            if not self._holds(city, epoch):
                await runner.end()
                raise Retryable(f"{city} was lost while it was loaded", reason="NOT_OWNER")
            self.runners[city] = runner
            try:
                runner.begin(lambda _: self._reload_soon(runner))
            except BaseException:
                await self._end(runner)
                raise
            self._ran_s[city] = self._parts.clock.monotonic_s()
        finally:
            taking.set()
            self._taking.pop(city, None)

    async def _from_shadow(self, ownership: Ownership) -> CityRunner | None:
        """The city as its shadow has it; None without one that fits, then it is loaded."""
        city, epoch = ownership.city, ownership.epoch
        shadow = self._shadows.pop(city, None)
        if shadow is None:
            return None
        try:
            loaded, logs = await shadow.become(ownership)
        except Exception as error:  # noqa: BLE001  whatever it is: the database has all that the shadow has
            self._parts.log.warning("shadow not used", city=city, error=repr(error))
            return None
        runner = CityRunner(loaded, logs, self._parts, lambda: self._holds(city, epoch))
        runner.ticker.hurried = True
        return runner

    async def settle(self, city: str, epoch: int) -> float:
        """Ends the tick under way, begins no other, stores the final cut. Seconds since the last tick."""
        runner = self.runners.get(city)
        return await runner.settle() if runner is not None and runner.city.epoch == epoch else 0.0

    async def shadow(self, ownership: Ownership) -> None:
        """Follows a city that another shard runs; returns when it is warm."""
        former = self._shadows.get(ownership.city)
        if former is not None:
            if not former.failed:
                return
            await self.unshadow(ownership.city)
        self._shadows[ownership.city] = await Shadow.begin(ownership, self._parts)

    async def unshadow(self, city: str) -> None:
        """Follows a city no longer. Idempotent."""
        shadow = self._shadows.pop(city, None)
        if shadow is not None:
            await shadow.end()

    async def first_tick(self, city: str, epoch: int) -> None:
        """Returns once a tick of the city could commit here."""
        runner = self.runners.get(city)
        if runner is not None and runner.city.epoch == epoch:
            await runner.ticker.ticked.wait()

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
        for name in list(self._shadows):
            await self.unshadow(name)

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
        """Loads the city until it runs, or gives it up when it is damaged: another shard may do better.

        What stands in the way for a while is waited for; only `drop` ends that: a lease that is late by our count may
        yet be renewed.
        """
        ownership = runner.city.ownership
        city = ownership.city
        try:
            await self._end(runner)
        except Exception as error:
            self._parts.log.error("end failed", city=city, exc_info=error)
        while (failures := self._failed_again(city)) <= _FAILURES:
            await asyncio.sleep(min(_RELOAD_PAUSE_S[0] * 2 ** (failures - 1), _RELOAD_PAUSE_S[1]))
            try:
                await self.take(ownership)
            except Retryable as error:
                self._failures[city] -= 1  # nothing is wrong with the city
                self._parts.log.warning("reload failed", city=city, error=str(error))
            except Exception as error:
                self._parts.log.error("reload failed", city=city, failures=failures, exc_info=error)
            else:
                return
        self._failures.pop(city, None)
        self._give_up(city, ownership.epoch, f"it failed {_FAILURES} times in a row")

    def _failed_again(self, city: str) -> int:
        """Counts a failure; after a sound run the count begins anew."""
        ran_s = self._ran_s.pop(city, None)
        sound = ran_s is not None and self._parts.clock.monotonic_s() - ran_s >= _SOUND_S
        self._failures[city] = 1 if sound else self._failures.get(city, 0) + 1
        return self._failures[city]


def _load(city: City) -> CityLoad:
    return CityLoad(
        riders=sum(rider.online for rider in city.state.riders.values()),
        open_orders=len(city.state.orders),
        tick_p99_ms=city.counters.tick_percentiles_ms()[1],
    )
