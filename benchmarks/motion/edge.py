"""Cost of a fix at the riders' edge, from the gRPC stream to the columnar message for the log, beside bare gRPC.

Four servers of one shape take the same messages from the same client, one after another, each in a process of its own:
*edge* is the real one with everything but the broker (tokens, parsing, checks, jumps, packing, `FixColumns`, acks);
*echo* is `grpc.aio` that answers each message with a few bytes, as every echo does. The edge answers a stream at most
every 100 ms, and a write costs more than a read: this is what lets it overtake the echo. So there is *paced*, an echo
that answers each stream every 100 ms, or at once when 500 fixes wait; and *sink*, which only reads, the
least that gRPC costs. The figure is fixes per second of the server's CPU time (user + system, all threads), so that
the client, which costs as much, and neighbours on the machine do not count.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import numpy as np
import structlog
import uvloop

from benchmarks.motion.child_process import ChildProcess, left, say
from benchmarks.motion.place import CITY
from benchmarks.orders.cpu import cpu_s
from benchmarks.record import Figure, Say, at_least
from node import arguments
from node.clock import SystemClock
from node.lifecycle import calm_collector
from node.rpc import Server
from node.tokens import TokenSigner, TokenVerifier, create_keys
from proto.fix_columns import FixColumns
from proto.fix_messages import encode_fixes
from proto.tracking.v1 import rider_link_pb2 as pb
from tracking.adapters.memory import MemoryEventLog, MemoryOffers, MemoryPartitions
from tracking.client import wire
from tracking.engine.edge import Edge
from tracking.engine.limits import Limits
from tracking.grpc_api import SERVICE, RiderLinkApi
from tracking.ports import EdgePorts

METHOD = f"/{SERVICE}/Connect"
#: Un-acknowledged fixes a stream; the edge itself allows 2,000.
WINDOW = 1_900
WARM_UP_S = 1.0
#: When messages are offered at a rate: acks come up to 3 s apart.
OFFERED_WARM_UP_S = 4.0
#: Of so many slices of a measurement the best counts, here and for the peers: the one that others disturbed least.
SLICES = 4


@dataclass(frozen=True, slots=True)
class Case:
    """A shape of load, and the fixes a CPU second that it must reach."""

    name: str
    batch: int
    streams: int
    connections: int
    target: int
    #: Fixes a second that all streams send together; 0: as fast as their windows let them.
    offered_per_s: int = 0

    @property
    def period_s(self) -> float:
        """Between two messages of a stream."""
        return self.streams * self.batch / self.offered_per_s if self.offered_per_s else 0.0


CASES = (
    Case("50 fixes a message, shared connections", 50, 20, 2, 900_000),
    Case("1 fix a message, shared connections", 1, 200, 2, 20_000),
    Case("1 fix a message, a connection a rider", 1, 200, 200, 12_000),
)
#: Of the bare echo of the same shape, which answers every message.
ECHO_SHARE = 0.7
KINDS = ("edge", "echo", "paced", "sink")
#: When the bare servers answer a stream: so many seconds after the last time, or at so many fixes.
ANSWERS: dict[str, tuple[float, int]] = {"echo": (0.0, 1), "paced": (0.1, 500)}


class EncodingLog:
    """Makes the message for the broker and forgets it."""

    async def append(self, city: str, partition: int, fixes: FixColumns) -> None:
        encode_fixes(city, fixes, "edge-1", 0)


async def serve_edge(keys: Path) -> None:
    """The real edge."""
    log = structlog.get_logger()
    ports = EdgePorts(MemoryPartitions({CITY: 0}), EncodingLog(), MemoryEventLog(), MemoryOffers())
    edge = Edge(ports, SystemClock(), Limits(), log, linger_ms=10)
    api = RiderLinkApi(edge, TokenVerifier(keys / "jwks.json"), log)
    server = Server("127.0.0.1:0", [SERVICE], [api.add_to])
    await server.start()
    calm_collector()
    running = asyncio.create_task(edge.run())
    say({"port": server.port})
    await left()
    running.cancel()
    await server.stop(0)


async def serve_bare(kind: str, batch: int) -> None:
    """A server that reads, and answers with the number of fixes it has read: each message, now and then, or never."""

    async def connect(_: Any, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        every_s, at_once = ANSWERS.get(kind, (float("inf"), 1 << 62))
        read = answered = -batch  # the first message is Hello
        answered_s = 0.0
        while isinstance(await context.read(), bytes):  # else grpc.aio.EOF
            read += batch
            now_s = time.monotonic()
            if read - answered >= at_once or now_s - answered_s >= every_s:
                answered, answered_s = read, now_s
                await context.write(read.to_bytes(5, "big"))

    bare = grpc.aio.server(options=[("grpc.max_receive_message_length", 1 << 20)])
    handlers: dict[str, Any] = {"Connect": grpc.stream_stream_rpc_method_handler(connect)}
    bare.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    port = bare.add_insecure_port("127.0.0.1:0")
    await bare.start()
    calm_collector()
    say({"port": port})
    await left()
    await bare.stop(None)


class Rider:
    """A stream that sends as fast as its window allows."""

    call: Any

    def __init__(self, channel: grpc.aio.Channel, token: str, kind: str, batch: int) -> None:
        self.kind, self.batch = kind, batch
        self._channel, self._token = channel, token
        self.sent = self.acked = 0
        self._room = asyncio.Event()
        clock = SystemClock()
        rows = tuple((clock.domain_ms(), -299_000_000 + i, -712_000_000, 50, 0, 500) for i in range(batch))
        message = pb.ConnectRequest(pings=wire.ping_batch(1, rows)).SerializeToString()
        first = np.arange(1, batch + 1, dtype="<u8").tobytes()
        self._head, _, self._tail = message.partition(first)

    async def open(self) -> None:
        """Says Hello, and hears the Welcome."""
        connect: Any = self._channel.stream_stream(METHOD)
        self.call = connect(metadata=(("authorization", f"Bearer {self._token}"),))
        await self.call.write(wire.hello(SystemClock().domain_ms(), 0, "bench").SerializeToString())
        if self.kind != "sink":
            await self.call.read()

    async def send(self, period_s: float = 0.0, first_s: float = 0.0) -> None:
        """Sends until cancelled: as fast as its window allows, or a message each `period_s` from `first_s` from now."""
        seqs = np.arange(1, self.batch + 1, dtype="<u8")
        loop = asyncio.get_running_loop()
        due_s = loop.time() + first_s
        while True:
            if period_s:
                await asyncio.sleep(due_s - loop.time())
                due_s += period_s
            if self.kind != "sink" and self.sent - self.acked >= WINDOW:
                self._room.clear()
                await self._room.wait()
            await self.call.write(self._head + (seqs + self.sent).tobytes() + self._tail)
            self.sent += self.batch

    async def hear(self) -> None:
        """Counts what is acknowledged, until cancelled."""
        while True:
            raw = await self.call.read()
            if self.kind == "edge":
                self.acked = pb.ConnectResponse.FromString(raw).ack.seq or self.acked
            else:
                self.acked = int.from_bytes(raw, "big")
            self._room.set()


async def drive(kind: str, port: int, pid: int, case: Case, signer: TokenSigner, seconds: float) -> float:
    """Fixes a second of the server's CPU time, in the best slice."""
    options = (("grpc.use_local_subchannel_pool", 1),)
    channels = [grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) for _ in range(case.connections)]
    riders = []
    for number in range(case.streams):
        token = signer.sign("rider", str(number + 1), ttl_s=600, city=CITY)
        riders.append(Rider(channels[number % case.connections], token, kind, case.batch))
    for first in range(0, len(riders), 50):
        await asyncio.gather(*(rider.open() for rider in riders[first : first + 50]))
    firsts_s = np.linspace(0.0, case.period_s, len(riders), endpoint=False).tolist()
    tasks = [
        asyncio.create_task(rider.send(case.period_s, first_s)) for rider, first_s in zip(riders, firsts_s, strict=True)
    ]
    if kind != "sink":
        tasks += [asyncio.create_task(rider.hear()) for rider in riders]
    await asyncio.sleep(OFFERED_WARM_UP_S if case.offered_per_s else WARM_UP_S)
    best = 0.0
    for _ in range(SLICES):
        # The sink tells nobody what it has read: what was sent is off by the sockets' buffers, little beside the whole.
        before, cpu = sum(r.acked if kind != "sink" else r.sent for r in riders), cpu_s(pid)
        await asyncio.sleep(seconds / SLICES)
        after, cpu = sum(r.acked if kind != "sink" else r.sent for r in riders), cpu_s(pid) - cpu
        best = max(best, (after - before) / cpu)
    failed = [task for task in tasks if task.done()]
    if failed:
        failed[0].result()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for channel in channels:
        await channel.close()
    return best


async def rate(kind: str, case: Case, seconds: float) -> float:
    """Fixes a CPU second of one server that is begun for it."""
    with tempfile.TemporaryDirectory() as folder:
        create_keys(Path(folder) / "key.pem", Path(folder) / "jwks.json")
        signer = TokenSigner(Path(folder) / "key.pem")
        words = ("--serve", kind, "--keys", folder, "--batch", str(case.batch))
        async with ChildProcess("benchmarks.motion.edge", words) as server:
            port = (await server.next_line())["port"]
            return await drive(kind, port, server.pid, case, signer, seconds)


async def measure(seconds: float, tell: Say) -> dict[str, Any]:
    """All cases against the four servers."""
    rows = []
    for case in CASES:
        rates = {}
        for kind in KINDS:
            tell(f"edge: {case.name}: {kind}")
            rates[kind] = round(await rate(kind, case, seconds))
        rows.append(
            {
                **asdict(case),
                "fixes_per_cpu_s": rates,
                "us_per_fix": {kind: round(1e6 / value, 3) for kind, value in rates.items()},
                "edge_to": {kind: round(rates["edge"] / rates[kind], 3) for kind in KINDS[1:]},
            }
        )
    return {"cases": rows, "load_average": os.getloadavg()[0]}


def figures(section: dict[str, Any]) -> Sequence[Figure]:
    """Each case against its target and against the echo that answers every message; the other peers beside it."""
    found = []
    for row in section["cases"]:
        rates, shares = row["fixes_per_cpu_s"], row["edge_to"]
        name, unit = f"edge, {row['name']}", "fixes/CPU s"
        every, paced = "bare echo of every message", "bare echo, paced"
        found.append(at_least(name, rates["edge"], row["target"], unit, rates["paced"], paced))
        found.append(at_least(f"{name}, share of a {every}", shares["echo"], ECHO_SHARE, "of it"))
        found.append(Figure(f"{name}, share of a {paced}", shares["paced"], "of it"))
        found.append(Figure(f"{name}, share of a bare sink", shares["sink"], "of it"))
    return found


def main() -> None:
    parser = arguments.Parser(description=__doc__)
    parser.add_argument("--serve", choices=KINDS, required=True)
    parser.add_argument("--keys", type=arguments.folder, required=True)
    parser.add_argument("--batch", type=arguments.whole(1, 100), required=True, help="fixes in a message")
    args = parser.parse_args()
    uvloop.run(serve_edge(args.keys) if args.serve == "edge" else serve_bare(args.serve, args.batch))


if __name__ == "__main__":
    main()
