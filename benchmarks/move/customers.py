"""Customers who keep enough orders open through the gateway, and watch them over WebSockets."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from simulator.drive.tokens import Tokens

#: Orders on their way to the gateway at once.
_AT_ONCE = 8
_LOOK_EVERY_S = 0.25
_HALF = 0.008
_FINAL = frozenset({"delivered", "completed", "cancelled", "declined", "failed"})


@dataclass(slots=True)
class Customers:
    """Keeps `wanted` orders open and `watchers` of them watched.

    `dropped` counts sockets that closed before their order was final, `open_now` orders placed and not final.
    """

    http: httpx.AsyncClient
    tokens: Tokens
    city: str
    center: tuple[float, float]
    wanted: int
    watchers: int
    rng: random.Random = field(default_factory=lambda: random.Random(7))
    placed: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    frames: Counter[str] = field(default_factory=Counter)
    sockets: set[asyncio.Task[None]] = field(default_factory=set)
    unwatched: list[str] = field(default_factory=list)
    connected: int = 0

    async def run(self, open_orders: list[int]) -> None:
        """Place orders until cancelled; `open_orders[0]` is how many dispatch says are open."""
        while True:
            missing = self.wanted - open_orders[0]
            await asyncio.gather(*(self._place() for _ in range(max(0, min(missing, _AT_ONCE)))))
            await asyncio.sleep(_LOOK_EVERY_S if missing < _AT_ONCE else 0)

    async def close(self) -> None:
        """Stop watching all orders."""
        for task in self.sockets:
            task.cancel()
        await asyncio.gather(*self.sockets, return_exceptions=True)

    async def _place(self) -> None:
        user, lat, lng = str(self.rng.randrange(1, 10**9)), *self.center
        token = self.tokens.get("user", user)
        headers = {"authorization": f"Bearer {token}", "idempotency-key": str(uuid.UUID(int=self.rng.getrandbits(128)))}
        try:
            answer = await self.http.post("/v1/orders", json=self._body(lat, lng), headers=headers)
        except httpx.TransportError as error:
            self.refused[type(error).__name__] += 1
            return
        if answer.status_code != httpx.codes.CREATED:
            self.refused[f"HTTP {answer.status_code}"] += 1
            return
        self.placed += 1
        body = answer.json()
        if len(self.sockets) < self.watchers:
            task = asyncio.create_task(self._watch(f"{body['live_url']}?token={body['tracking_token']}"))
            self.sockets.add(task)
            task.add_done_callback(self.sockets.discard)

    def _body(self, lat: float, lng: float) -> dict[str, Any]:
        kitchen = self.rng.randrange(40)
        at = random.Random(kitchen)
        return {
            "city": self.city,
            "restaurant": {
                "restaurant_id": f"kitchen-{kitchen}",
                "name": f"Kitchen {kitchen}",
                "lat": lat + at.uniform(-_HALF, _HALF),
                "lng": lng + at.uniform(-_HALF, _HALF),
                "preparation_s": 60,
            },
            "dropoff": {"lat": lat + self.rng.uniform(-_HALF, _HALF), "lng": lng + self.rng.uniform(-_HALF, _HALF)},
            "items": [{"sku": "margherita", "name": "Margherita", "quantity": 1, "price_minor": 7990}],
            "tip_minor": 0,
            "payment_token": "tok_ok",
        }

    async def _watch(self, url: str) -> None:
        """One socket, never opened again: until its order is final, or it is dropped."""
        try:
            async with connect(url, proxy=None, max_size=1 << 20, open_timeout=20) as socket:
                self.connected += 1
                try:
                    async for frame in socket:
                        body = orjson.loads(frame)
                        self.frames[body["type"]] += 1
                        if body["type"] in ("snapshot", "status") and body["status"] in _FINAL:
                            return
                finally:
                    self.connected -= 1
                self.dropped[f"closed with {socket.close_code}"] += 1
        except (OSError, TimeoutError, WebSocketException) as error:
            self.dropped[type(error).__name__] += 1
