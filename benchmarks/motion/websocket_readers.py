"""Process of customers who place orders and read their WebSockets, on a real stack with `FORNO_*` set.

    python -m benchmarks.motion.websocket_readers --orders 540

It places orders over HTTP, opens a WebSocket for each, and waits until so many riders have the food. Then "begin" and
"end" of the parent bound a measurement: how old each fix was when its frame came, by the wall clock that stamped it
at the rider (same machine).
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
import orjson
import uvloop
from websockets.asyncio.client import connect

from benchmarks.motion.child_process import say, words
from benchmarks.motion.place import CITY, somewhere
from node import arguments
from node.lifecycle import calm_collector
from node.tokens import TokenSigner

#: Orders on their way to the gateway at once, and a second.
AT_ONCE = 8
PER_S = 40.0
#: Everybody has the food after so long, wall seconds.
READY_S = 100.0
_TOKEN_S = 7200
E7 = 1e7


class WebSocketReaders:
    """Customers whose pages are open."""

    def __init__(self) -> None:
        self.ages_ms: list[float] = []
        self.orders: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.carried: set[str] = set()
        self._changed = asyncio.Event()

    async def watch(self, order_id: str, url: str) -> None:
        """Follows one order until the server hangs up."""
        async with connect(url, proxy=None, max_size=1 << 20, open_timeout=30, ping_interval=None) as socket:
            async for frame in socket:
                now_ms = time.time() * 1000
                body = orjson.loads(frame)
                kind = "cell" if "cell" in body else body["type"]
                self.kinds[kind] += 1
                if kind == "position":
                    self.ages_ms.append(now_ms - body["ts_ms"])
                    self.orders[order_id] += 1
                elif body.get("status") == "picked_up":
                    self.carried.add(order_id)
                    self._changed.set()

    async def carrying(self, count: int) -> None:
        """Returns when so many riders have the food."""
        while len(self.carried) < count:
            self._changed.clear()
            await self._changed.wait()

    def begin(self) -> dict[str, Any]:
        """Forgets what was seen so far."""
        self.ages_ms, self.orders, self.kinds = [], Counter(), Counter()
        return {"carried": len(self.carried)}

    def end(self) -> dict[str, Any]:
        """End the measurement; ages of the frames seen since `begin`."""
        ages = np.array(self.ages_ms)
        if not len(ages):
            return {"frames": 0}
        shares = (1, 10, 50, 90, 99, 99.9)
        return {
            "frames": len(ages),
            "orders": len(self.orders),
            "frames_of_the_least_watched": min(self.orders.values()),
            "kinds": dict(self.kinds),
            **{f"p{share:g}_ms": round(float(np.percentile(ages, share)), 1) for share in shares},
            "max_ms": round(float(ages.max()), 1),
            "by_2_ms": np.histogram(ages, bins=np.arange(0, 302, 2))[0].tolist(),
        }


async def place(http: httpx.AsyncClient, signer: TokenSigner, rng: Random, number: int) -> tuple[str, str]:
    """Places an order; its id and the address of its WebSocket."""
    kitchen, door = somewhere(rng), somewhere(rng)
    user = signer.sign("user", f"bench-{number}", ttl_s=_TOKEN_S)
    body = {
        "city": CITY,
        "restaurant": {
            "restaurant_id": f"r{number % 60}",
            "name": "Bench",
            "lat": kitchen[0] / E7,
            "lng": kitchen[1] / E7,
            "preparation_s": 0,
        },
        "dropoff": {"lat": door[0] / E7, "lng": door[1] / E7},
        "items": [{"sku": "pizza", "name": "Pizza", "quantity": 1, "price_minor": 900}],
        "tip_minor": 0,
        "payment_token": "tok_ok",
    }
    headers = {"authorization": f"Bearer {user}", "idempotency-key": str(uuid4())}
    answer = (await http.post("/v1/orders", json=body, headers=headers)).raise_for_status().json()
    return answer["order"]["order_id"], f"{answer['live_url']}?token={answer['tracking_token']}"


async def run(orders: int, wanted: int, seed: int) -> None:
    """Orders, watches, answers the parent until it hangs up."""
    signer = TokenSigner(Path(os.environ["FORNO_JWT_PRIVATE_KEY_FILE"]))
    readers, rng = WebSocketReaders(), Random(seed)
    gate = asyncio.Semaphore(AT_ONCE)
    async with (
        httpx.AsyncClient(base_url=os.environ["FORNO_GATEWAY_URL"], timeout=20, trust_env=False) as http,
        asyncio.TaskGroup() as group,
    ):

        async def one(number: int) -> None:
            async with gate:
                order_id, url = await place(http, signer, rng, number)
            await readers.watch(order_id, url)

        watching = []
        for number in range(orders):
            watching.append(group.create_task(one(number)))
            await asyncio.sleep(1 / PER_S)
        async with asyncio.timeout(READY_S):
            await readers.carrying(wanted)
        calm_collector()
        say(readers.begin())
        async for word in words():
            say(readers.begin() if word == "begin" else readers.end())
        for task in watching:
            task.cancel()


def main() -> None:
    parser = arguments.Parser(description=__doc__)
    parser.add_argument(
        "--orders", type=arguments.whole(1, 1_000_000), default=540, help="orders to place, each watched"
    )
    parser.add_argument(
        "--carried",
        type=arguments.whole(0, 1_000_000),
        default=510,
        help="begin when so many are on their way to the door",
    )
    parser.add_argument("--seed", type=arguments.whole(0, arguments.MAX_ID), default=2)
    args = parser.parse_args()
    uvloop.run(run(args.orders, args.carried, args.seed))


if __name__ == "__main__":
    main()
