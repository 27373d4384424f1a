"""A city that another shard runs, followed for a move: so warm that the new owner goes on where the old one stopped.

    both logs ──────> positions and events, as they come
    the database ───> what the owner committed, once a second; events it has taken are forgotten

All it holds is what an owner would hold, and `WAITING_EVENTS` events at most: its memory is bounded as the city's is.
It writes nothing. Nothing is promised of it either: whoever takes the city reads the last changes and the final cut
from the database, and loads everything anew when the shadow does not fit them.
"""

from __future__ import annotations

import asyncio

import structlog

from dispatch.engine.model import Cooldown, Offer, Order, Rider
from dispatch.engine.state import Changes
from dispatch.logs.cut import Cut
from dispatch.logs.ports import CityLogs
from dispatch.shard.dependencies import Dependencies
from dispatch.shard.holdings import Holdings
from dispatch.shard.live_city import LiveCity
from dispatch.shard.ports import CommittedChanges
from dispatch.shard.recovery import catch_up, later, load_city
from dispatch.shard.runner import CityRunner, close_logs, end_parts
from node.errors import Retryable
from node.lifecycle import in_background
from node.retry import every, warned
from shard_router.topology import Ownership

SYNC_EVERY_S = 1.0
#: Events between the shadow and the final cut are read within this, wall seconds, or the city is loaded anew.
LAST_READ_S = 2.0


class Shadow:
    """Follows from `begin` until `end` or `become`."""

    def __init__(self, city: LiveCity, logs: CityLogs, dependencies: Dependencies) -> None:
        self.city = city
        self._logs = logs
        self._dependencies = dependencies
        self._log: structlog.stdlib.BoundLogger = dependencies.log.bind(city=city.name, shadow=True)
        self._ingest = CityRunner(city, logs, dependencies, lambda: False).ingest  # all else of the runner never begins
        self._tasks: list[asyncio.Task[None]] = []
        self._cut: Cut | None = None

    @staticmethod
    async def begin(ownership: Ownership, dependencies: Dependencies) -> Shadow:
        """Loads, catches up, and follows from then on. Raises `Retryable`; nothing is left open then."""
        logs = dependencies.logs_of(ownership.city)
        logs.follow_only()
        try:
            city = await load_city(ownership, dependencies.decision_log, logs, dependencies.clock, dependencies.params)
            shadow = Shadow(city, logs, dependencies)
            await catch_up(city, logs, shadow._ingest.take, shadow._log)
            await shadow.sync()
        except BaseException:
            await close_logs(logs)
            raise
        shadow._tasks = [
            in_background(shadow._ingest.run(), f"shadow ingest:{city.name}", shadow._log),
            in_background(shadow._follow(), f"shadow sync:{city.name}", shadow._log),
        ]
        return shadow

    @property
    def behind(self) -> int:
        """Events that wait for the owner's next commit, at most."""
        return len(self.city.ingested.waiting)

    async def sync(self) -> None:
        """Takes over what the owner has committed. Raises `Retryable`."""
        city = self.city
        forget_ms = round(self._dependencies.params.offers.forget_s * 1000)
        since_ms = self._dependencies.clock.domain_ms() - forget_ms
        changed = await self._dependencies.decision_log.changed(city.name, city.committed.tick, since_ms)
        take_over(city, changed)
        self._cut = changed.cut
        if changed.cut is not None and changed.cut.incarnation == city.ingested.read.incarnation:
            forget_taken(city, changed.cut.events_offset)
            self._ingest.room.set()
        # So that the first tick's is quick.
        city.ingested.positions.snapshot(self._dependencies.clock.domain_ms(), city.stale_after_ms)

    async def become(self, ownership: Ownership) -> tuple[LiveCity, CityLogs]:
        """The city as its new owner needs it, at the final cut, and the logs open behind it.

        Raises `Retryable` when the shadow does not fit the final cut; it has ended then.
        """
        try:
            await self._stop()
            if not all(task.done() for task in self._tasks):
                raise Retryable(f"{self.city.name}: a part of the shadow does not end", reason="STUCK")
            await self.sync()
            cut = self._final_cut()
            async with asyncio.timeout(LAST_READ_S):
                while self._behind(cut):
                    self._ingest.take(await self._logs.read(0.5))
        except BaseException as error:
            await close_logs(self._logs)
            if isinstance(error, TimeoutError):
                raise Retryable(f"{self.city.name}: the shadow is behind the final cut", reason="BEHIND") from error
            raise
        city = self.city
        forget_taken(city, cut.events_offset)
        city.ownership = ownership
        city.ingested.first = later(cut, city.ingested.first)
        city.committed.taken_offset, city.committed.taken_after_tick = cut.events_offset, city.committed.tick
        city.watch_carried()
        self._logs.own()
        return city, self._logs

    async def end(self) -> None:
        """Follows no longer. Idempotent."""
        await self._stop()
        await close_logs(self._logs)

    async def _stop(self) -> None:
        await end_parts(self._tasks, self._log)

    async def _follow(self) -> None:
        await every(SYNC_EVERY_S, self.sync, warned(self._log, "shadow not in step"), first_s=SYNC_EVERY_S)

    def _behind(self, cut: Cut) -> bool:
        read = self.city.ingested.read
        return read.pings_offset < cut.pings_offset or read.events_offset < cut.events_offset

    def _final_cut(self) -> Cut:
        cut = self._cut
        if cut is None or cut.incarnation != self.city.ingested.read.incarnation:
            raise Retryable(f"{self.city.name}: the shadow follows another log", reason="LOG_REPLACED")
        return cut


def take_over(city: LiveCity, changed: CommittedChanges) -> None:
    """Take over what the owner committed."""
    state = city.state
    for offer_id in [offer_id for offer_id in state.offers if offer_id not in changed.offer_ids]:
        del state.offers[offer_id]
    state.cooldowns.clear()
    entities = changed.entities
    orders = tuple(entity for entity in entities if isinstance(entity, Order))
    state.commit(
        Changes(
            orders=orders,
            riders=tuple(entity for entity in entities if isinstance(entity, Rider)),
            offers=tuple(entity for entity in entities if isinstance(entity, Offer)),
            cooldowns=tuple(entity for entity in entities if isinstance(entity, Cooldown)),
        )
    )
    known = city.committed
    known.ended.extend(order for order in orders if order.ended)
    known.memory.tracks.update((track.order_id, track) for track in changed.tracks)
    known.holdings, known.tick = Holdings.load(changed.holdings), changed.tick


def forget_taken(city: LiveCity, offset: int) -> None:
    """Drops the events below an offset, which the owner has taken.

    Where they put a rider that came on shift is dropped with them: after any change of owner, positions are those of
    the log of fixes, and a recording decided again counts on it.
    """
    waiting = city.ingested.waiting
    while waiting and waiting[0].offset < offset:
        waiting.popleft()
