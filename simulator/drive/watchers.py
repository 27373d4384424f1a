"""Customers at their screens: real WebSockets, and how old each position was when it came."""

from __future__ import annotations

import asyncio
from array import array
from collections import Counter

import orjson
import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from node.clock import Clock
from node.retry import Policy, warned
from simulator.drive.customers import PlacedOrder

_FINAL = frozenset({"delivered", "completed", "cancelled", "declined", "failed"})


class _HungUp(Exception):
    """The server closed the socket before the order was final."""


#: A socket that closes before the order is final is opened again so often.
_AGAIN = Policy(0.5, 0.5, of=(OSError, WebSocketException, _HungUp), tries=4)


class Watchers:
    """Watches every order it is offered while fewer than `at_once` are being watched; the others go unwatched."""

    def __init__(self, clock: Clock, at_once: int) -> None:
        self._clock = clock
        self._at_once = at_once
        self._tasks: set[asyncio.Task[None]] = set()
        self._log = structlog.get_logger(part="watchers")
        #: Wall milliseconds from each fix to its frame, and the domain time of the fix. The first position on a
        #: socket is not among them: it is where the rider was last seen before somebody watched, however long ago.
        self.age_ms = array("d")
        self.fix_ms = array("q")
        self.frames: Counter[str] = Counter()
        self.watched = 0
        self.failed = 0
        self.finals: Counter[str] = Counter()

    @property
    def open(self) -> int:
        """Sockets open now."""
        return len(self._tasks)

    def offer(self, order: PlacedOrder) -> bool:
        """Begins to watch an order; False when there are enough watchers."""
        if len(self._tasks) >= self._at_once:
            return False
        self.watched += 1
        task = asyncio.create_task(self._watch(order))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def close(self) -> None:
        """End all watching."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _watch(self, order: PlacedOrder) -> None:
        url = f"{order.live_url}?token={order.tracking_token}"

        async def watch() -> str:
            async with connect(url, proxy=None, max_size=1 << 20, open_timeout=10) as socket:
                return await self._follow(socket)

        try:
            final = await _AGAIN.until_done(watch, warned(self._log, "watcher cut off", order=order.order_id))
            self.finals[final] += 1
        except _AGAIN.of:
            self.failed += 1

    async def _follow(self, socket: ClientConnection) -> str:
        """Counts frames until the order has come to a final status; which. Raises `_HungUp`."""
        positions = 0
        async for frame in socket:
            now_ms = self._clock.wall_ms()
            body = orjson.loads(frame)
            kind = body["type"]
            self.frames["cell" if "cell" in body else kind] += 1
            if kind == "position":
                positions += 1
                if positions > 1:
                    self.age_ms.append(now_ms - self._clock.wall_of_domain_ms(body["ts_ms"]))
                    self.fix_ms.append(body["ts_ms"])
            elif kind in ("snapshot", "status") and body["status"] in _FINAL:
                return str(body["status"])
        raise _HungUp
