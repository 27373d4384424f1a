"""The two input logs of a city in memory, for tests and simulations."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from dispatch.engine.log_inputs import LogEvent
from dispatch.logs import wire
from dispatch.logs.cut import Cut
from dispatch.logs.errors import LogReplaced
from dispatch.logs.ports import Read
from node.errors import Retryable
from proto.fix_messages import decode_fixes


class MemoryLog:
    """The two topics of a broker, partition by partition."""

    def __init__(self, incarnation: str = "memory-1") -> None:
        self.incarnation = incarnation
        self.pings: dict[int, list[bytes]] = {}
        self.events: dict[int, list[bytes]] = {}
        #: Events that were set aside, and why.
        self.set_aside: dict[str, str] = {}
        self._grown = asyncio.Condition()

    async def append_pings(self, partition: int, value: bytes) -> None:
        """A message of rider.pings."""
        self.pings.setdefault(partition, []).append(value)
        await self._tell()

    async def append_event(self, partition: int, value: bytes) -> None:
        """A message of city.events."""
        self.events.setdefault(partition, []).append(value)
        await self._tell()

    def replace_by(self, incarnation: str) -> None:
        """Loses everything, as a broker that keeps nothing does at a restart."""
        self.incarnation = incarnation
        self.pings.clear()
        self.events.clear()

    async def wait(self, timeout_s: float, something: Callable[[], bool]) -> None:
        """Wait until there is something to read, or the time is over."""
        async with self._grown:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._grown.wait_for(something)
            except TimeoutError:
                return

    async def _tell(self) -> None:
        async with self._grown:
            self._grown.notify_all()


class MemoryCityLogs:
    """`CityLogs` on a `MemoryLog`. It has no times: a rewind goes to the beginning, as on the embedded broker."""

    def __init__(self, log: MemoryLog, city: str, default_capacity: int = 3) -> None:
        self._log = log
        self._city = city
        self._capacity = default_capacity
        self._cut: Cut | None = None

    async def open(self, partition: int, cut: Cut | None, rewind_ms: int) -> Cut:
        start = Cut(self._log.incarnation, partition, 0, 0)
        if cut is not None and cut.incarnation == start.incarnation:
            pings_offset = 0 if rewind_ms else cut.pings_offset
            start = replace(start, pings_offset=pings_offset, events_offset=cut.events_offset)
        self._cut = start
        return start

    async def read(self, timeout_s: float) -> Read:
        before = self._opened()
        await self._log.wait(timeout_s, lambda: self._opened() != self._end())
        if self._log.incarnation != before.incarnation:
            raise LogReplaced(f"the log was {before.incarnation}, it is {self._log.incarnation} now")
        end = self._cut = self._end()
        decoded = [decode_fixes(v, self._city) for v in self._pings()[before.pings_offset : end.pings_offset]]
        fixes = [found for found in decoded if found is not None]
        events = [self._event(n) for n in range(before.events_offset, end.events_offset)]
        packed_ms = min((packed for _, packed in fixes), default=0)
        return Read([f for f, _ in fixes], events, end, before.pings_offset, before.events_offset, packed_ms)

    async def ends(self) -> Cut:
        return self._end()

    async def ids_before(self, cut: Cut, count: int) -> Sequence[str]:
        return [self._event(n).event_id for n in range(max(0, cut.events_offset - count), cut.events_offset)]

    def follow_only(self) -> None:
        """Set nothing aside."""

    def own(self) -> None:
        """Set nothing aside."""

    async def set_aside(self, event: LogEvent, reason: str) -> None:
        self._log.set_aside[event.event_id] = reason

    async def close(self) -> None:
        self._cut = None

    def _opened(self) -> Cut:
        if self._cut is None:
            raise Retryable("the logs are not open", reason="LOG_CLOSED")
        return self._cut

    def _pings(self) -> list[bytes]:
        return self._log.pings.get(self._opened().partition, [])

    def _events(self) -> list[bytes]:
        return self._log.events.get(self._opened().partition, [])

    def _event(self, offset: int) -> LogEvent:
        return wire.decode_event_leniently(self._events()[offset], self._city, offset, self._capacity)

    def _end(self) -> Cut:
        return Cut(self._opened().incarnation, self._opened().partition, len(self._pings()), len(self._events()))
