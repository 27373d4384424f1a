"""All watched kitchens of this process: one question a second to the orders service for each, however many screens.

The board is committed state, asked for; a command of a screen has it asked at once, so that all screens of the kitchen
show the answer. A kitchen whose last screen left is kept for a while: a page that is loaded anew resumes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from gateway import metrics
from gateway.live import frames
from gateway.live.kitchen.model import Command, Kitchen, KitchenSource, Ticket
from gateway.live.kitchen.watch import KitchenWatch
from gateway.live.socket_queue import SocketQueue
from node.clock import Clock
from node.errors import FornoError

#: Wall seconds between two looks at a board.
LOOK_S = 1.0
#: A kitchen without a screen is looked at for so much longer, wall seconds.
LINGER_S = 20.0
#: Browsers do not see pings; this tells them that the line lives. Wall seconds.
HEARTBEAT_S = 10.0
_HEARTBEAT = frames.json_frame({"type": "heartbeat"})
_AWAY, _BACK = frames.json_frame({"type": "away"}), frames.json_frame({"type": "back"})


@dataclass(slots=True, eq=False)
class WatchedKitchen:
    """A kitchen and its screens."""

    watch: KitchenWatch
    queues: set[SocketQueue] = field(default_factory=set)
    #: The board is to be looked at at once.
    soon: asyncio.Event = field(default_factory=asyncio.Event)
    left_s: float = 0.0
    away: bool = False


class KitchenHub:
    """The watched kitchens."""

    def __init__(
        self,
        source: KitchenSource,
        clock: Clock,
        clock_line: Mapping[str, float],
        log: structlog.stdlib.BoundLogger,
        *,
        look_s: float = LOOK_S,
    ) -> None:
        self._source = source
        self._clock = clock
        self._clock_line = clock_line
        self._log = log
        self._look_s = look_s
        self._kitchens: dict[Kitchen, WatchedKitchen] = {}
        self._group: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Looks at boards until cancelled."""
        async with asyncio.TaskGroup() as self._group:
            self._group.create_task(self._heartbeat(), name="kitchen-heartbeat")

    async def open(self, kitchen: Kitchen) -> WatchedKitchen:
        """The kitchen, its board known. Raises `FornoError` when the orders service cannot say."""
        found = self._kitchens.get(kitchen)
        if found is None:
            watch = KitchenWatch(kitchen, self._clock.wall_ms(), self._clock_line)
            watch.on_board(await self._source.board(kitchen))
            found = self._kitchens.setdefault(kitchen, WatchedKitchen(watch))
            if found.watch is watch and self._group is not None:
                found.left_s = self._clock.monotonic_s()
                self._group.create_task(self._keep(kitchen, found), name="kitchen")
                metrics.KITCHENS.inc()
        return found

    async def say(self, kitchen: Kitchen, command: Command) -> tuple[Ticket | None, bool]:
        """Passes a command on; the board is looked at at once. Raises `FornoError`."""
        try:
            return await self._source.say(kitchen, command)
        finally:
            found = self._kitchens.get(kitchen)
            if found is not None:
                found.soon.set()

    async def _keep(self, kitchen: Kitchen, found: WatchedKitchen) -> None:
        """Looks at one board until nobody has been there for a while."""
        try:
            while found.queues or self._clock.monotonic_s() - found.left_s < LINGER_S:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._look_s):
                        await found.soon.wait()
                found.soon.clear()
                await self._look(kitchen, found)
                if found.queues:
                    found.left_s = self._clock.monotonic_s()
        finally:
            del self._kitchens[kitchen]
            metrics.KITCHENS.dec()

    async def _look(self, kitchen: Kitchen, found: WatchedKitchen) -> None:
        try:
            board = await self._source.board(kitchen)
        except FornoError as error:
            self._log.debug("a board could not be read", city=kitchen.city, error=str(error))
            self._tell_link(found, away=True)
            return
        self._tell_link(found, away=False)
        frame = found.watch.on_board(board)
        if frame is not None:
            for queue in tuple(found.queues):
                queue.event(frame)

    def _tell_link(self, found: WatchedKitchen, *, away: bool) -> None:
        """Says when the orders service went away or came back."""
        if away != found.away:
            found.away = away
            for queue in tuple(found.queues):
                queue.latest("link", _AWAY if away else _BACK)

    async def _heartbeat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            for found in self._kitchens.values():
                for queue in found.queues:
                    queue.latest("heartbeat", _HEARTBEAT)
