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
#: The way of an order, as customers are told; the other ends may come from anywhere on it.
_WAY = ("placed", "authorised", "accepted", "assigned", "picked_up", "delivered", "completed")
#: A rider who declines or vanishes gives the order back, and dispatch looks for another one.
_GIVEN_BACK = ("assigned", "accepted")


@dataclass(slots=True)
class Watcher:
    """One customer's screen. Times are wall seconds.

    `gateways` are `ws://host:port` in turn: a customer who is cut off comes back at another one, as behind a balancer.
    """

    order_id: str
    path: str
    gateways: Sequence[str]
    #: When each exact position of an order that was shown as picked up came, and when its fix was taken; in the order
    #: of coming.
    came_s: list[float] = field(default_factory=list)
    fixed_s: list[float] = field(default_factory=list)
    #: What the order's status was said to be, by snapshots and news alike, whenever it was another one than before.
    statuses: list[str] = field(default_factory=list)
    cut_off: int = 0
    #: Fixes that were older than the one shown before.
    older_fixes: int = 0

    @property
    def status(self) -> str:
        """The last status it was shown."""
        return self.statuses[-1] if self.statuses else ""

    @property
    def went_back(self) -> list[tuple[str, str]]:
        """Each time that an earlier status was shown after a later one, unless the order was given back; or another
        one after an end."""
        pairs = zip(self.statuses, self.statuses[1:], strict=False)
        return [(before, after) for before, after in pairs if not _may_follow(before, after)]

    def back_s(self, since_s: float) -> float | None:
        """Time when the first position came that was taken after a moment; None when none has."""
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
            self.see(json.loads(message), time.time())
            if self.status in FINAL:
                return

    def see(self, frame: dict[str, Any], came_s: float) -> None:
        """Takes a frame that has come."""
        match frame["type"]:
            case "snapshot":
                self._shown(frame["status"])
                self._at(frame["rider"] or {}, came_s)
            case "status":
                self._shown(frame["status"])
            case "position":
                self._at(frame, came_s)

    def _shown(self, status: str) -> None:
        if status != self.status:
            self.statuses.append(status)

    def _at(self, rider: dict[str, Any], came_s: float) -> None:
        if "ts_ms" not in rider or "cell" in rider or self.status != "picked_up":
            return
        fixed_s = rider["ts_ms"] / 1000
        if self.fixed_s and fixed_s < self.fixed_s[-1]:
            self.older_fixes += 1
            return
        self.came_s.append(came_s)
        self.fixed_s.append(fixed_s)


def _may_follow(before: str, after: str) -> bool:
    if after not in _WAY:
        return after in FINAL and before not in FINAL
    return before in _WAY and (_WAY.index(after) > _WAY.index(before) or (before, after) == _GIVEN_BACK)


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
        """End all watching. Raises what a watcher raised."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()
