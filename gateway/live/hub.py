"""All watched orders of this process: who watches what, and how news reaches them.

    a wake, a poll ──> a task an order (at most one) asks Track ──> status frames ──┐
    live positions ────────────────────────────────────────────> position frames ──┴─> queues

Status comes from committed state only (`OrderSource`): a wake says *that* something changed, never what. A lost wake
costs one poll period.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import structlog

from gateway import metrics
from gateway.live import frames
from gateway.live.fix_ages import FixAges
from gateway.live.model import City, LiveFix, OrderId
from gateway.live.ports import CityFeed, OrderSource
from gateway.live.socket_queue import SocketQueue
from gateway.live.watch import OrderWatch
from node.clock import Clock
from node.errors import FornoError

#: Questions about orders of one city under way at once; counted a city, so that one without an owner holds up no other.
QUESTIONS_PER_CITY = 16
#: A watcher who joins an order is shown state at most this old, wall seconds.
FRESH_S = 0.25
_POLL_TICK_S = 0.25
#: An order whose rider was seen within `SEEN_S` is asked about every `CALM_POLL_S` only: its owner and Redis work,
#: a wake that could not be published is published later, and another owner's first position asks anew. Wall seconds.
SEEN_S = 2.5
CALM_POLL_S = 10.0
#: Browsers do not see pings; this tells them that the line lives. Wall seconds.
HEARTBEAT_S = 10.0


@dataclass(slots=True, eq=False)
class WatchedOrder:
    """An order and the sockets that watch it."""

    watch: OrderWatch
    queues: set[SocketQueue] = field(default_factory=set)
    visitors: int = 0
    asked_s: float = float("-inf")
    seen_s: float = float("-inf")
    #: There is news that has not been asked for.
    dirty: bool = False
    asking: asyncio.Task[None] | None = None
    #: Held while a question is under way: who joins meanwhile waits for its answer.
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def due(self, now_s: float, period_s: float) -> bool:
        """Whether it is to be asked about though nobody said that it changed."""
        calm = now_s - self.seen_s < SEEN_S
        return now_s >= self.asked_s + (max(period_s, CALM_POLL_S) if calm else period_s)


class Hub:
    """The watched orders. It is the `FeedSink` of their cities."""

    def __init__(
        self,
        source: OrderSource,
        feed: CityFeed,
        clock: Clock,
        clock_line: Mapping[str, float],
        log: structlog.stdlib.BoundLogger,
        *,
        poll_s: float,
        polls_per_s: float,
    ) -> None:
        self._source = source
        self._feed = feed
        self._clock = clock
        self._clock_line = clock_line
        self._log = log
        self._poll_s = poll_s
        self._polls_per_s = polls_per_s
        self._orders: dict[str, WatchedOrder] = {}
        self._gates: dict[City, asyncio.Semaphore] = {}
        self._group: asyncio.TaskGroup | None = None
        self.ages = FixAges(clock)

    @property
    def watched(self) -> Mapping[str, WatchedOrder]:
        """Watched orders by id."""
        return self._orders

    async def run(self) -> None:
        """Asks about what changed until cancelled."""
        async with asyncio.TaskGroup() as self._group:
            self._group.create_task(self._poll(), name="live-poll")
            self._group.create_task(self._heartbeat(), name="live-heartbeat")

    @asynccontextmanager
    async def visit(self, order_id: OrderId) -> AsyncIterator[WatchedOrder]:
        """The order, kept up to date while at least one visitor is in. Raises `NotFound` or `Retryable`."""
        order = self._orders.get(order_id)
        if order is None:
            order = self._opened(OrderWatch(await self._source.facts(order_id), self._clock_line))
        order.visitors += 1
        try:
            async with order.lock:
                if self._clock.monotonic_s() - order.asked_s > FRESH_S:
                    await self._refresh(order)
            yield order
        finally:
            order.visitors -= 1
            if order.visitors == 0:
                self._forget(order)

    def fixes(self, city: City, epoch: int, fixes: Sequence[LiveFix]) -> None:
        shown: list[int] = []
        pushes = 0
        now_s = self._clock.monotonic_s()
        for fix in fixes:
            order = self._orders.get(fix.order_id)
            if order is None:
                continue
            order.seen_s = now_s
            if epoch > order.watch.epoch:  # another owner: what the one before said last may not have reached us
                self._ask_soon(order)
            frame = order.watch.on_fix(epoch, fix)
            if frame is None:
                continue
            for queue in order.queues:
                queue.latest("position", frame)
            pushes += len(order.queues)
            shown.append(fix.ts_ms)
        metrics.PUSHES.inc(pushes)
        self.ages.pushed(shown)

    def woken(self, city: City, epoch: int, order_ids: Sequence[str]) -> None:
        for order_id in order_ids:
            if order_id in self._orders:
                self._ask_soon(self._orders[order_id])

    def gap(self) -> None:
        for order in self._orders.values():
            self._ask_soon(order)

    def _opened(self, watch: OrderWatch) -> WatchedOrder:
        # Another visitor may have opened it while this one was asking.
        if watch.facts.order_id not in self._orders:
            self._orders[watch.facts.order_id] = WatchedOrder(watch)
            self._feed.follow(watch.facts.city)
            metrics.WATCHED.inc()
        return self._orders[watch.facts.order_id]

    def _forget(self, order: WatchedOrder) -> None:
        del self._orders[order.watch.facts.order_id]
        self._feed.unfollow(order.watch.facts.city)
        metrics.WATCHED.dec()

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(_POLL_TICK_S)
            now_s = self._clock.monotonic_s()
            period_s = max(self._poll_s, len(self._orders) / self._polls_per_s)
            for order in self._orders.values():
                if order.due(now_s, period_s):
                    self._ask_soon(order)

    async def _heartbeat(self) -> None:
        frame = frames.json_frame({"type": "heartbeat"})
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            for order in self._orders.values():
                for queue in order.queues:
                    queue.latest("heartbeat", frame)

    def _ask_soon(self, order: WatchedOrder) -> None:
        order.dirty = True
        if order.asking is None and self._group is not None and not order.watch.final:
            order.asking = self._group.create_task(self._ask(order))

    async def _ask(self, order: WatchedOrder) -> None:
        gate = self._gates.setdefault(order.watch.facts.city, asyncio.Semaphore(QUESTIONS_PER_CITY))
        try:
            async with gate, order.lock:
                while order.dirty and order.visitors and not order.watch.final:
                    order.dirty = False
                    await self._refresh(order)
        finally:
            order.asking = None

    async def _refresh(self, order: WatchedOrder) -> None:
        """Asks what is new and tells the watchers; a service that is away is asked again by the next poll."""
        order.asked_s = self._clock.monotonic_s()
        watch = order.watch
        try:
            track = await self._source.track(watch.facts.city, watch.facts.order_id, watch.seq)
            if track is not None:
                news = watch.on_track(track)
            else:
                news = watch.on_facts(await self._source.facts(watch.facts.order_id))
        except FornoError as error:
            metrics.REFRESHES.labels("away").inc()
            self._log.debug("a watched order could not be asked about", order=watch.facts.order_id, error=str(error))
            return
        metrics.REFRESHES.labels("news" if news else "same").inc()
        for queue in tuple(order.queues):
            if watch.final:
                queue.forget_latest()
            for frame in news:
                queue.event(frame)
        if watch.final:
            self._end(order)

    def _end(self, order: WatchedOrder) -> None:
        for queue in tuple(order.queues):
            queue.end(order.watch.status)
