"""Customers of the storm: each places an order over HTTP, as often as it takes, and watches it to its end."""

from __future__ import annotations

import asyncio
import json
import time
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from node.tokens import TokenSigner

_AGAIN_S = 0.25
_PLACE_WITHIN_S = 60.0
FINAL = frozenset({"delivered", "completed", "cancelled", "declined", "failed"})


@dataclass(slots=True)
class Watcher:
    """One customer's screen. Times are wall seconds.

    `gateways` are `ws://host:port` in turn: a customer who is cut off comes back at another one, as behind a balancer.
    """

    order_id: str
    path: str
    gateways: Sequence[str]
    #: When each exact position came, and when its fix was taken; in the order of coming.
    came_s: list[float] = field(default_factory=list)
    fixed_s: list[float] = field(default_factory=list)
    #: The statuses it was shown, each once, in the order of their being shown.
    statuses: list[str] = field(default_factory=list)
    cut_off: int = 0
    snapshots: int = 0
    #: Times at which what was shown went back: an older fix, or an earlier status.
    went_back: int = 0

    @property
    def status(self) -> str:
        """The last status it was shown."""
        return self.statuses[-1] if self.statuses else ""

    def back_s(self, since_s: float) -> float | None:
        """When the first position came that was taken after a moment; None when none has."""
        at = bisect_left(self.came_s, since_s)
        for came_s, fixed_s in zip(self.came_s[at:], self.fixed_s[at:], strict=True):
            if fixed_s >= since_s:
                return came_s
        return None

    async def run(self) -> None:
        """Watches until the order is over, connecting again whenever it is cut off."""
        while self.status not in FINAL:
            try:
                gateway = self.gateways[self.cut_off % len(self.gateways)]
                async with connect(gateway + self.path, proxy=None, open_timeout=5) as socket:
                    await self._follow(socket)
            except (OSError, TimeoutError, WebSocketException):
                pass
            if self.status not in FINAL:
                self.cut_off += 1
                await asyncio.sleep(_AGAIN_S)

    async def _follow(self, socket: ClientConnection) -> None:
        async for message in socket:
            frame = json.loads(message)
            kind = frame["type"]
            if kind == "snapshot":
                self.snapshots += 1
                # The whole story so far, in its order.
                for status in [*(event["status"] for event in frame["events"]), frame["status"]]:
                    self._shown(status)
                self._at(frame["rider"] or {})
            elif kind == "status":
                self._shown(frame["status"])
            elif kind == "position":
                self._at(frame)
            if self.status in FINAL:
                return

    def _shown(self, status: str) -> None:
        """The newest is last, also when an order was given back and is offered anew."""
        if status in self.statuses:
            self.statuses.remove(status)
        self.statuses.append(status)

    def _at(self, rider: dict[str, Any]) -> None:
        if "ts_ms" not in rider or "cell" in rider:
            return
        fixed_s = rider["ts_ms"] / 1000
        if self.fixed_s and fixed_s < self.fixed_s[-1]:
            self.went_back += 1
            return
        self.came_s.append(time.time())
        self.fixed_s.append(fixed_s)


@dataclass(slots=True)
class Customers:
    """Places orders and keeps their watchers."""

    gateway_url: str
    gateways: Sequence[str]
    signer: TokenSigner
    body: dict[str, Any]
    watchers: list[Watcher] = field(default_factory=list)
    tries: int = 0
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def order(self, number: int) -> Watcher:
        """Places an order, with one key however often, and begins to watch it."""
        token = self.signer.sign("user", f"customer-{number}", ttl_s=7200)
        headers = {"authorization": f"Bearer {token}", "idempotency-key": f"storm-order-{number}"}
        async with asyncio.timeout(_PLACE_WITHIN_S), httpx.AsyncClient(timeout=5.0, trust_env=False) as http:
            while True:
                self.tries += 1
                try:
                    answer = await http.post(f"{self.gateway_url}/v1/orders", json=self.body, headers=headers)
                except httpx.TransportError:
                    await asyncio.sleep(_AGAIN_S)
                    continue
                if answer.status_code == 201:
                    break
                assert answer.status_code >= 429, answer.text
                await asyncio.sleep(_AGAIN_S)
        placed = answer.json()
        path = f"{urlsplit(placed['live_url']).path}?token={placed['tracking_token']}"
        watcher = Watcher(placed["order"]["order_id"], path, self.gateways)
        self.watchers.append(watcher)
        self._tasks.append(asyncio.create_task(watcher.run(), name=f"watcher {number}"))
        return watcher

    async def close(self) -> None:
        """Nobody watches any more. Raises what a watcher raised."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()
