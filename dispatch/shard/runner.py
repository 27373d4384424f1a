"""One owned city at work: its parts, each a task, begun and ended together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from enum import StrEnum
from typing import Any

import structlog

from dispatch.engine.travel.learned import LearnedTravel
from dispatch.logs.ports import CityLogs
from dispatch.metrics import CityMetrics
from dispatch.shard.after_tick import AfterTick
from dispatch.shard.committer import Committer
from dispatch.shard.dependencies import Dependencies
from dispatch.shard.errors import PartEnded
from dispatch.shard.ingest import Ingest
from dispatch.shard.lessons import Lessons
from dispatch.shard.live_city import LiveCity
from dispatch.shard.position_feed import PositionFeed
from dispatch.shard.recovery import catch_up, load_city
from dispatch.shard.ticker import Ticker
from dispatch.shard.wakes import Wakes
from node.errors import Retryable
from node.outbox.relay import Relay
from shard_router.fence import OwnershipLost
from shard_router.topology import Ownership

#: The tick under way may take this long to end when the city is dropped, wall seconds.
LAST_TICK_S = 3.0
#: Parts that do not end this long after they were cancelled are cancelled once more, then left behind; wall seconds.
CANCEL_TIMEOUT_S = 1.0
#: The final cut and the close of the logs may take this long, each, wall seconds.
LAST_CUT_S = 1.0


async def end_parts(tasks: Iterable[asyncio.Task[None]], log: structlog.stdlib.BoundLogger) -> None:
    """Cancels the parts of a city; over within twice `CANCEL_TIMEOUT_S`, whatever they do."""
    left = [task for task in tasks if not task.done()]
    for _ in range(2):
        for task in left:
            task.cancel()
        if left:
            left = list((await asyncio.wait(left, timeout=CANCEL_TIMEOUT_S))[1])
    if left:
        log.error("parts left behind", parts=[task.get_name() for task in left])


async def close_logs(logs: CityLogs) -> None:
    """Closes a city's logs; over within `LAST_CUT_S`."""
    with suppress(TimeoutError):
        async with asyncio.timeout(LAST_CUT_S):
            await logs.close()


class RunnerState(StrEnum):
    """State of a city's runner."""

    #: It ticks, or is about to.
    RUNNING = "running"
    #: No further tick begins and the final cut is stored: others may go on from there.
    SETTLED = "settled"
    #: Its parts are being ended, or have ended.
    ENDED = "ended"


class CityRunner:
    """Runs a city from `begin` to `end`."""

    def __init__(
        self,
        city: LiveCity,
        logs: CityLogs,
        dependencies: Dependencies,
        holds: Callable[[], bool],
        *,
        from_shadow: bool = False,
    ) -> None:
        self.city = city
        self.logs = logs
        self.dependencies = dependencies
        self._log = dependencies.log.bind(city=city.name, epoch=city.epoch)
        self._state = RunnerState.RUNNING
        #: Set when a part ended before its time.
        self.failed = asyncio.Event()
        metrics = CityMetrics(city.name)
        self.relay = Relay(dependencies.outbox_of(city.name), dependencies.publisher, self._log)
        self.feed = PositionFeed(city, dependencies.announcements, dependencies.clock, metrics, self._log)
        self.wakes = Wakes(city, dependencies.announcements, self._log)
        self.ingest = Ingest(city, logs, self.feed, dependencies.clock, metrics, self._log)
        learns_ways = isinstance(dependencies.solver.travel_of(city.name), LearnedTravel)
        lessons = Lessons(city, dependencies.lessons, dependencies.clock, self._log, travels_by_them=learns_ways)
        committer = Committer(city, dependencies, holds, metrics, self._log, from_shadow=from_shadow)
        after = AfterTick(city, metrics, self.wakes, self.relay.wake)
        self.ticker = Ticker(city, dependencies, self.ingest, lessons, committer, after)
        self._tasks: list[asyncio.Task[None]] = []

    @staticmethod
    async def load(ownership: Ownership, dependencies: Dependencies, holds: Callable[[], bool]) -> CityRunner:
        """A city in memory, caught up with its logs. Raises `Retryable`."""
        logs = dependencies.logs_of(ownership.city)
        try:
            city = await load_city(ownership, dependencies.decision_log, logs, dependencies.clock, dependencies.params)
            runner = CityRunner(city, logs, dependencies, holds)
            await catch_up(city, logs, runner.ingest.take, runner._log)
        except BaseException:
            await close_logs(logs)
            raise
        return runner

    def begin(self) -> None:
        """Starts every part."""
        self._start("ticks", self.ticker.run())
        self._start("ingest", self.ingest.run())
        self._start("feed", self.feed.run())
        self._start("wakes", self.wakes.run())
        self._start("relay", self.relay.run())
        for name, view in self.dependencies.views_of(self.city):
            self._start(name, self._after_first_tick(view))

    async def _after_first_tick(self, view: Coroutine[Any, Any, None]) -> None:
        """Views begin with all riders of the city at once; while they do, nobody would have decided."""
        try:
            await self.ticker.ticked.wait()
        except BaseException:
            view.close()
            raise
        await view

    async def settle(self) -> float:
        """Finishes the tick under way, begins no other, and stores the final cut. Seconds since the last tick ended."""
        self._state = RunnerState.SETTLED
        await self.ticker.finish(LAST_TICK_S)
        await self._save_final_cut()
        return self.dependencies.clock.monotonic_s() - self.ticker.last_tick_s

    async def end(self) -> None:
        """Ends the tick under way, then every part, and stores the final cut. Idempotent, and over within seconds.

        What does not end in time is left behind: it may decide nothing any more, here and by the database's word.
        """
        settled, self._state = self._state is RunnerState.SETTLED, RunnerState.ENDED
        await self.ticker.finish(LAST_TICK_S)
        await end_parts(self._tasks, self._log)
        if not settled:
            await self._save_final_cut()
        await close_logs(self.logs)

    async def _save_final_cut(self) -> None:
        """Others go on from there; without it, from the last tick's. One that comes late lowers no cut."""
        city = self.city
        with suppress(Retryable, OwnershipLost, TimeoutError):
            async with asyncio.timeout(LAST_CUT_S):
                await self.dependencies.decision_log.save_cut(city.ownership, city.committed.tick, city.taken)

    def _start(self, name: str, run: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(run, name=f"{name}:{self.city.name}")
        self._tasks.append(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        cancelled = task.cancelled()
        error = None if cancelled else task.exception()
        if self._state is RunnerState.ENDED:
            return
        # Nobody cancels a part before the end, and none returns: either leaves the city deaf or without ticks.
        failure = error or PartEnded(f"part {task.get_name()!r} " + ("was cancelled" if cancelled else "returned"))
        self._log.error("part failed", part=task.get_name(), exc_info=failure)
        self.failed.set()
