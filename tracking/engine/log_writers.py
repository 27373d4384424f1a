"""Append fixes and events to the logs of one city, again and again until they are durable.

A `FixWriter` sends one message and keeps the next one ready; while both are under way, batches wait and are sent
together, so a slow log makes messages larger, not more. An `EventWriter` sends one group at a time, in order. The edge
bounds what waits: it reads no stream while too much does (`Limits`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice

import structlog

from node.clock import Clock
from node.retry import QUICK, Failed, warned
from proto.fix_columns import FixColumns
from tracking import metrics
from tracking.engine.ledger import Ticket
from tracking.engine.ping_packer import CityBatch, Held
from tracking.engine.session import RiderSession
from tracking.model import RiderEvent
from tracking.ports import EventLog, FixLog

#: Fixes in one message of the log; about 40 bytes each, well under the broker's 1 MB.
MAX_MESSAGE_FIXES = 8_192
MAX_EVENT_GROUP = 256
_IN_FLIGHT = 2

#: Told what is durable now: the tickets, and the fixes that they hold.
SettleFixes = Callable[[Sequence[Held], FixColumns], None]
SettleEvents = Callable[[Sequence[Held]], None]


def _told(log: structlog.stdlib.BoundLogger, event: str, **fields: object) -> Failed:
    """Counts an append that failed, and warns."""
    warn = warned(log, event, **fields)

    def tell(error: BaseException, pause_s: float) -> None:
        metrics.APPENDS_FAILED.inc()
        warn(error, pause_s)

    return tell


@dataclass(slots=True, eq=False)
class FixWriter:
    """Appends the fixes of one city to its log."""

    city: str
    partition: int
    log: FixLog
    clock: Clock
    settle: SettleFixes
    fail: Callable[[BaseException], None]
    logger: structlog.stdlib.BoundLogger
    #: Fixes that were put and are not durable.
    waiting: int = 0
    _city_batches: deque[tuple[float, CityBatch]] = field(default_factory=deque)
    _sends: dict[asyncio.Task[None], float] = field(default_factory=dict)

    def put(self, city_batch: CityBatch) -> None:
        """Takes a batch; its tickets are settled when it is durable."""
        self._city_batches.append((self.clock.monotonic_s(), city_batch))
        self.waiting += len(city_batch.fixes)
        self._pump()

    def oldest_ms(self, now_s: float) -> float:
        """Time that the oldest fix here has waited, wall milliseconds, at a time (monotonic); 0 if none waits."""
        times = [*self._sends.values(), *(since for since, _ in list(self._city_batches)[:1])]
        return 1000 * (now_s - min(times, default=now_s))

    async def idle(self) -> None:
        """Returns when all that was put is durable."""
        while self._sends:
            await asyncio.wait(self._sends)
            await asyncio.sleep(0)  # the callbacks of the finished ones start the next

    def close(self) -> None:
        """Gives up what is under way; it was not acknowledged."""
        self._city_batches.clear()
        for send in self._sends:
            send.cancel()

    def _pump(self) -> None:
        while self._city_batches and len(self._sends) < _IN_FLIGHT:
            since = self._city_batches[0][0]
            send = asyncio.create_task(self._send(self._next(), since), name=f"fixes of {self.city}")
            self._sends[send] = since
            send.add_done_callback(self._sent)

    def _next(self) -> list[CityBatch]:
        city_batches = [self._city_batches.popleft()[1]]
        size = len(city_batches[0].fixes)
        while self._city_batches and size + len(self._city_batches[0][1].fixes) <= MAX_MESSAGE_FIXES:
            city_batches.append(self._city_batches.popleft()[1])
            size += len(city_batches[-1].fixes)
        return city_batches

    async def _send(self, city_batches: list[CityBatch], since_s: float) -> None:
        fixes = FixColumns.concat([city_batch.fixes for city_batch in city_batches])
        await QUICK.until_done(
            lambda: self.log.append(self.city, self.partition, fixes),
            _told(self.logger, "fixes wait for the log", city=self.city, fixes=len(fixes)),
        )
        self.waiting -= len(fixes)
        metrics.FIXES_DURABLE.inc(len(fixes))
        metrics.DURABLE_MS.observe((self.clock.monotonic_s() - since_s) * 1000)
        self.settle([held for city_batch in city_batches for held in city_batch.held], fixes)

    def _sent(self, send: asyncio.Task[None]) -> None:
        del self._sends[send]
        if send.cancelled():
            return
        if error := send.exception():
            self.fail(error)
        else:
            self._pump()


@dataclass(slots=True, eq=False)
class EventWriter:
    """Appends replies and statuses of one city to its log, in the order of arrival."""

    partition: int
    log: EventLog
    settle: SettleEvents
    fail: Callable[[BaseException], None]
    logger: structlog.stdlib.BoundLogger
    _queue: deque[tuple[RiderEvent, RiderSession, Ticket]] = field(default_factory=deque)
    _worker: asyncio.Task[None] | None = None

    def put(self, event: RiderEvent, session: RiderSession, ticket: Ticket) -> None:
        """Takes an event; its ticket is settled when it is durable."""
        self._queue.append((event, session, ticket))
        if self._worker is None or self._worker.done():  # done: its callback comes in the loop's next round
            self._worker = asyncio.create_task(self._work(), name=f"events of {event.city}")
            self._worker.add_done_callback(self._worked)

    @property
    def waiting(self) -> int:
        """Events that were put and are not durable."""
        return len(self._queue)

    async def idle(self) -> None:
        """Returns when all that was put is durable."""
        while self._worker is not None:
            await asyncio.wait([self._worker])
            await asyncio.sleep(0)

    def close(self) -> None:
        """Gives up what is under way; it was not acknowledged."""
        self._queue.clear()
        if self._worker is not None:
            self._worker.cancel()

    async def _work(self) -> None:
        while self._queue:
            group = await QUICK.until_done(self._append, _told(self.logger, "events wait for the log"))
            for _ in group:
                self._queue.popleft()
            metrics.EVENTS_DURABLE.inc(len(group))
            self.settle([(session, ticket) for _, session, ticket in group])

    async def _append(self) -> list[tuple[RiderEvent, RiderSession, Ticket]]:
        """Makes what waits durable, as much as goes into one group; the group."""
        group = list(islice(self._queue, MAX_EVENT_GROUP))
        await self.log.append(self.partition, [event for event, _, _ in group])
        return group

    def _worked(self, worker: asyncio.Task[None]) -> None:
        if self._worker is worker:
            self._worker = None
        if worker.cancelled():
            return
        if error := worker.exception():
            self.fail(error)
