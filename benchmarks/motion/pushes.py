"""Cost of a push over WebSocket to the server, a distinct payload a socket, beside a plain `websockets` loop.

Both serve the same sockets of the same client process, one after the other, each in a process of its own. *live* is
the real thing from a message of Redis on: decoding, the watched orders, the privacy ladder, frames, outboxes, sockets.
*plain* is `await socket.send(text)` over all sockets, the texts of the same size made beforehand. The figure is pushes
a second of the server's CPU, in the best of many rounds: the one that neighbours on the machine disturbed least.
"""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import grpc.aio
import structlog
import uvloop
from websockets.asyncio.server import ServerConnection, serve

from benchmarks.motion.child_process import ChildProcess, say, words
from benchmarks.record import Figure, Say, at_least
from gateway.live.adapters import decode
from gateway.live.adapters.kitchens import ServiceKitchens
from gateway.live.adapters.memory import MemoryFeed, MemoryOrders, MemoryStreams
from gateway.live.hub import Hub
from gateway.live.kitchen.hub import KitchenHub
from gateway.live.model import City, OrderFacts, OrderId, Place, StatusEvent, Track
from gateway.live.operator_view import OperatorHub
from gateway.live.server import LiveServer
from node import arguments
from node.clock import SystemClock
from node.lifecycle import calm_collector
from node.tokens import TokenSigner, TokenVerifier, create_keys
from proto.dispatch.v1.live_pb2 import LivePosition, LivePositions

T = TypeVar("T")

CITY = City("la-serena")
SOCKETS = 1000
#: Positions in one message of Redis, as a shard sends them under load.
A_MESSAGE = 50
#: Rounds over all sockets between two looks at the clock.
ROUNDS = 20
#: Between two turns of the listeners, wall seconds; a socket gets a few frames meanwhile.
_DRAIN_S = 0.02
_TEXT = '{"type":"position","lat":%.7f,"lng":%.7f,"ts_ms":%d,"heading":90.00,"eta_ms":%d,"epoch":1}'


def order_id(number: int) -> OrderId:
    """An id of the usual length."""
    return OrderId(f"0198c0de-0000-7000-8000-{number:012d}")


def messages(session: int) -> list[bytes]:
    """`ROUNDS` rounds of a position for every order, newer ones later."""
    now_ms = int(time.time() * 1000)
    return [
        LivePositions(
            city=CITY,
            epoch=1,
            positions=[
                LivePosition(
                    order_id=order_id(number),
                    rider_id=2**40 + number,
                    lat_e7=-299_000_000 + number,
                    lng_e7=-712_500_000 + round_,
                    ts_ms=now_ms,
                    session=session,
                    seq=round_,
                    heading_cdeg=9000,
                    eta_ms=now_ms,
                    picked_up=True,
                )
                for number in range(first, first + A_MESSAGE)
            ],
        ).SerializeToString()
        for round_ in range(1, ROUNDS + 1)
        for first in range(0, SOCKETS, A_MESSAGE)
    ]


async def serve_live(keys: Path) -> None:
    """The real process, but for Redis and the services."""
    log, clock, feed, orders = structlog.get_logger(), SystemClock(), MemoryFeed(), MemoryOrders()
    here = Place(-299_045_000, -712_489_000)
    for one in map(order_id, range(SOCKETS)):
        accepted = StatusEvent(0, "accepted", 1)
        orders.orders[one] = OrderFacts(one, "bench", CITY, "accepted", (accepted,), "Bench", here, here, 0, 0)
        orders.tracks[one] = Track("picked_up", (StatusEvent(1, "picked_up", 2),), 1, None, 1, 2, ())
    hub = Hub(orders, feed, clock, {}, log, poll_s=60, polls_per_s=1)
    ops = OperatorHub(MemoryStreams(), feed, dict, hub.ages, {}, log)
    kitchens = KitchenHub(ServiceKitchens(grpc.aio.insecure_channel("127.0.0.1:1")), clock, {}, log)  # nobody opens one
    verifier = TokenVerifier(keys / "jwks.json")
    server = LiveServer(hub, ops, kitchens, verifier, log, max_sockets=2 * SOCKETS, max_sockets_per_token=20)
    running = asyncio.create_task(hub.run())
    await server.start("127.0.0.1", 0)
    say({"port": server.port})
    session = count(1)

    async def prepare() -> list[bytes]:
        await everybody(lambda: len(hub.watched))
        return messages(next(session))

    async def push(made: list[bytes]) -> None:
        for message in made:
            hub.fixes(*decode.live_positions(message))
            await asyncio.sleep(0)  # so that the loop writes

    await answer(prepare, push)
    running.cancel()
    await server.close()


async def serve_plain() -> None:
    """Serve as the documentation of `websockets` has it."""
    sockets: list[ServerConnection] = []

    async def handle(connection: ServerConnection) -> None:
        sockets.append(connection)
        await connection.wait_closed()

    async with serve(handle, "127.0.0.1", 0, compression=None, ping_interval=None, backlog=4096) as server:
        say({"port": next(iter(server.sockets)).getsockname()[1]})

        async def prepare() -> list[str]:
            await everybody(lambda: len(sockets))
            now_ms = int(time.time() * 1000)
            return [_TEXT % (-29.9 - i / 1e6, -71.2, now_ms, now_ms) for i in range(ROUNDS * SOCKETS)]

        async def push(texts: list[str]) -> None:
            for number, text in enumerate(texts):
                await sockets[number % SOCKETS].send(text)
                if number % A_MESSAGE == 0:
                    await asyncio.sleep(0)

        await answer(prepare, push)


async def everybody(here: Callable[[], int]) -> None:
    """Returns when all sockets are open; gives up after a while."""
    for _ in range(600):
        if here() == SOCKETS:
            return
        await asyncio.sleep(0.05)
    raise TimeoutError(f"{here()} of {SOCKETS} sockets are open")


async def answer(prepare: Callable[[], Awaitable[T]], push: Callable[[T], Awaitable[None]]) -> None:
    """Answers "push SECONDS" with what was pushed and what the cheapest push cost; until the parent hangs up."""
    async for word in words():
        calm_collector()
        pushed, cpu_s, wall_s, until_s = 0, float("inf"), 0.0, time.monotonic() + float(word.split()[1])
        while time.monotonic() < until_s:
            made = await prepare()
            begun_s, cpu = time.monotonic(), time.process_time()
            await push(made)
            await asyncio.sleep(0)
            cpu_s = min(cpu_s, (time.process_time() - cpu) / (ROUNDS * SOCKETS))
            wall_s += time.monotonic() - begun_s
            pushed += ROUNDS * SOCKETS
        say({"pushed": pushed, "cpu_s_a_push": cpu_s, "wall_s": wall_s})


class Listeners:
    """Sockets that are drained in turns and count bytes. (Not upon each arrival: on loopback the sender's CPU pays for
    waking the reader, which elsewhere the reader's machine does.)"""

    def __init__(self) -> None:
        self.bytes = 0
        self._sockets: list[socket.socket] = []
        self._draining: asyncio.Task[None] | None = None

    def open(self, port: int, paths: Sequence[str]) -> None:
        """One socket a path, its handshake by hand: a library would cost more than the server."""
        for path in paths:
            one = socket.create_connection(("127.0.0.1", port))
            one.sendall(
                f"GET {path} HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
            )
            one.setblocking(False)
            self._sockets.append(one)
        self._draining = asyncio.create_task(self._drain())

    async def _drain(self) -> None:
        while True:
            for one in self._sockets:
                with suppress(BlockingIOError):
                    self.bytes += len(one.recv(1 << 16))
            await asyncio.sleep(_DRAIN_S)

    def close(self) -> None:
        """Hangs up everywhere."""
        if self._draining is not None:
            self._draining.cancel()
        for one in self._sockets:
            one.close()


async def measure_one(kind: str, folder: Path, signer: TokenSigner, seconds: float) -> dict[str, float]:
    """Pushes a CPU second and a wall second of one server."""
    listeners = Listeners()
    async with ChildProcess("benchmarks.motion.pushes", ("--serve", kind, "--keys", str(folder))) as server:
        port = (await server.next_line())["port"]
        ids = [order_id(number) for number in range(SOCKETS)]
        paths = [f"/v1/live/orders/{one}?token={signer.sign('order', one, ttl_s=600, city=CITY)}" for one in ids]
        listeners.open(port, paths)
        await server.ask("push 0.5")  # greetings, and caches
        before = listeners.bytes
        answer = await server.ask(f"push {seconds}")
        await asyncio.sleep(0.3)
        got = listeners.bytes - before
        listeners.close()
    return {
        "pushes_per_cpu_s": round(1 / answer["cpu_s_a_push"]),
        "pushes_per_s": round(answer["pushed"] / answer["wall_s"]),
        "us_a_push": round(1e6 * answer["cpu_s_a_push"], 2),
        "bytes_a_push": round(got / answer["pushed"], 1),
    }


async def measure(seconds: float, tell: Say) -> dict[str, Any]:
    """Both servers."""
    figures: dict[str, Any] = {"sockets": SOCKETS, "positions_a_message": A_MESSAGE}
    with tempfile.TemporaryDirectory() as folder:
        keys = Path(folder)
        create_keys(keys / "key.pem", keys / "jwks.json")
        signer = TokenSigner(keys / "key.pem")
        for kind in ("plain", "live"):
            tell(f"pushes: {kind}")
            figures[kind] = await measure_one(kind, keys, signer, seconds)
    figures["load_average"] = os.getloadavg()[0]
    return figures


def figures(section: dict[str, Any]) -> Sequence[Figure]:
    """Pushes a CPU second beside the plain loop's."""
    live, plain = (section[kind]["pushes_per_cpu_s"] for kind in ("live", "plain"))
    return (at_least("pushes over WebSocket", live, 80_000, "pushes/CPU s", plain, "plain websockets loop"),)


def main() -> None:
    parser = arguments.Parser(description=__doc__)
    parser.add_argument("--serve", choices=("live", "plain"), required=True)
    parser.add_argument("--keys", type=arguments.folder, required=True)
    args = parser.parse_args()
    uvloop.run(serve_live(args.keys) if args.serve == "live" else serve_plain())


if __name__ == "__main__":
    main()
