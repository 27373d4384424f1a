"""Bounded queue of frames to one WebSocket: the newest of each kind, and few events.

A socket that reads fast never has anything waiting here. For one that reads slowly there is at most one frame a *key*
(the latest replaces the one before: conflation), at most `MAX_EVENTS` events in order, and when even those are too
many they are all dropped for one new snapshot. So the memory of a socket is bounded whatever its reader does, and when
it wakes it gets the newest state, not the history of its sleep.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from gateway import metrics
from gateway.live.ports import Wire

#: Pending events of a slow socket; past this it gets a snapshot in their place.
MAX_EVENTS = 32

_conflated = metrics.CONFLATED.inc


class SocketQueue:
    """Frames on their way to one socket."""

    def __init__(self, wire: Wire, resync: Callable[[], bytes]) -> None:
        self._wire = wire
        #: Builds the frame that stands for everything missed.
        self._resync = resync
        self._events: deque[bytes] = deque()
        self._latest: dict[str, bytes] = {}
        self._behind = False
        #: Resolves to the reason for closing, once everything before the end was handed to the transport.
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._end: str | None = None

    @property
    def pending(self) -> int:
        """Frames that wait for the reader."""
        return len(self._events) + len(self._latest) + self._behind

    def latest(self, key: str, frame: bytes) -> None:
        """Sends a frame that makes the one before of the same key worthless."""
        if not self._latest and not self._events and not self._behind and self._wire.ready:
            self._wire.write(frame)
            return
        if self._latest.pop(key, None) is not None:
            _conflated()
        self._latest[key] = frame
        self.flush()

    def event(self, frame: bytes) -> None:
        """Sends a frame that must not be skipped."""
        self._events.append(frame)
        if len(self._events) > MAX_EVENTS:
            self._events.clear()
            self._behind = True
            metrics.RESYNCS.inc()
        self.flush()

    def forget_latest(self) -> None:
        """Drops pending latest-only frames; for when they must not be seen any more."""
        self._latest.clear()

    def end(self, reason: str) -> None:
        """End the queue: `ended` resolves as soon as everything pending was handed over."""
        self._end = reason
        self.flush()

    def flush(self) -> None:
        """Hands over what the wire takes. Called by the wire as well, whenever it becomes ready again."""
        while self._wire.ready and self.pending:
            self._wire.write(self._next())
        if self._end is not None and not self.pending and not self.ended.done():
            self.ended.set_result(self._end)

    def _next(self) -> bytes:
        if self._behind:
            self._behind = False
            return self._resync()
        if self._events:
            return self._events.popleft()
        return self._latest.pop(next(iter(self._latest)))
