"""Kitchens at their screens: real WebSockets, and Ready pressed when the food is ready.

The kitchens of the demo take every order; what they add is when the food is really ready, seldom when they said.
"""

from __future__ import annotations

import asyncio
import heapq
from urllib.parse import quote

import orjson
import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from node.clock import Clock
from node.retry import Policy, warned
from simulator.drive.customers import PlacedOrder
from simulator.drive.tokens import Tokens

#: Wall seconds before a line that broke is opened again, and before a refused Ready is pressed again: an order whose
#: payment takes its time is not in the kitchen yet.
_PAUSE_S = 1.0
_AGAIN = Policy(_PAUSE_S, _PAUSE_S, of=(OSError, WebSocketException))
#: Ready is pressed so often before the order is forgotten: it was cancelled, or its rider already has it.
_PRESSES = 4
#: Orders a screen waits with; of more the last are forgotten.
_MOST = 500


class Kitchens:
    """A screen for each kitchen that may have one, opened with its first order."""

    def __init__(self, clock: Clock, tokens: Tokens, with_screen: frozenset[str]) -> None:
        self._clock = clock
        self._tokens = tokens
        self._with_screen = with_screen
        self._waiting: dict[str, list[tuple[int, int, str]]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._log = structlog.get_logger(part="kitchens")
        self.ready = 0

    def expect(self, order: PlacedOrder) -> None:
        """An order came to a kitchen; its food will be ready at `ready_ms`."""
        kitchen = order.restaurant_id
        if kitchen not in self._with_screen:
            return
        waiting = self._waiting.setdefault(kitchen, [])
        if len(waiting) < _MOST:
            heapq.heappush(waiting, (order.ready_ms, 0, order.order_id))
        if kitchen not in self._tasks:
            base = order.live_url.partition("/v1/live/")[0]
            self._tasks[kitchen] = asyncio.create_task(
                self._serve(base, order.city, kitchen), name=f"kitchen {kitchen}"
            )

    async def close(self) -> None:
        """The screens go dark."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _serve(self, base: str, city: str, kitchen: str) -> None:
        async def serve() -> None:
            token = self._tokens.get("restaurant", kitchen, city=city)
            url = f"{base}/v1/live/kitchens/{quote(kitchen, safe='')}?token={token}"
            async with connect(url, proxy=None, max_size=1 << 20, open_timeout=10) as socket:
                await self._cook(socket, self._waiting[kitchen])

        await _AGAIN.forever(serve, warned(self._log, "kitchen cut off", kitchen=kitchen))

    async def _cook(self, socket: ClientConnection, waiting: list[tuple[int, int, str]]) -> None:
        """Presses Ready for each order when it is, until the line breaks."""
        while True:
            due_ms = self._clock.wall_of_domain_ms(waiting[0][0]) if waiting else float("inf")
            await asyncio.sleep(min(max(due_ms - self._clock.wall_ms(), 0) / 1000, _PAUSE_S))
            if not waiting or waiting[0][0] > self._clock.domain_ms():
                continue
            _, presses, order_id = heapq.heappop(waiting)
            pressed = False
            try:
                pressed = await _pressed(socket, order_id)
                self.ready += pressed
            finally:
                if not pressed and presses + 1 < _PRESSES:
                    again_ms = self._clock.domain_ms() + round(1000 * _PAUSE_S * self._speed())
                    heapq.heappush(waiting, (again_ms, presses + 1, order_id))

    def _speed(self) -> float:
        """Domain seconds a wall second."""
        return 1000 / (self._clock.wall_of_domain_ms(1000) - self._clock.wall_of_domain_ms(0))


async def _pressed(socket: ClientConnection, order_id: str) -> bool:
    """Whether the order is ready now, for all to see."""
    await socket.send(orjson.dumps({"id": order_id, "type": "ready", "order_id": order_id}).decode())
    async for frame in socket:
        body = orjson.loads(frame)
        if body.get("id") == order_id:
            return bool(body["type"] == "done")
    return False
