"""What a fix costs at the riders' edge, from the gRPC stream to the columnar message for the log, beside bare gRPC.

Three servers of one shape take the same messages from the same client, one after another, each in a process of its own:
*edge* is the real one with everything but the broker (tokens, parsing, checks, jumps, packing, `FixColumns`, acks);
*echo* is `grpc.aio` that answers each message with a few bytes (the edge acknowledges a stream at most every 100 ms);
*sink* only reads. The figure is fixes per second of the server's CPU time (user + system, all threads), so that the
client, which costs as much, and neighbours on the machine do not count.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import numpy as np
import structlog
import uvloop

from benchmarks.motion.child import Child, left, say
from benchmarks.motion.place import CITY
from benchmarks.orders.cpu import cpu_s
from benchmarks.record import Figure, Say, at_least
from node.clock import SystemClock
from node.lifecycle import calm_collector
from node.rpc import Server
from node.tokens import TokenSigner, TokenVerifier, create_keys
from proto.tracking.v1 import rider_link_pb2 as pb
from tracking.adapters.kafka import fix_columns
from tracking.adapters.memory import MemoryEventLog, MemoryOffers, MemoryPartitions
from tracking.client import wire
from tracking.engine.edge import Edge
from tracking.engine.limits import Limits
from tracking.grpc_api import SERVICE, RiderLinkApi
from tracking.model import Fixes

METHOD = f"/{SERVICE}/Connect"
#: Un-acknowledged fixes a stream; the edge itself allows 2,000.
WINDOW = 1_900
WARM_UP_S = 1.0
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


CASES = (
    Case("50 fixes a message, shared connections", 50, 20, 2, 900_000),
    Case("1 fix a message, shared connections", 1, 200, 2, 20_000),
    Case("1 fix a message, a connection a rider", 1, 200, 200, 12_000),
)
#: Of the bare echo of the same shape.
ECHO_SHARE = 0.7


class EncodingLog:
    """Makes the message for the broker and forgets it."""

    async def append(self, city: str, partition: int, fixes: Fixes) -> None:
        fix_columns(city, fixes, "edge-1", 0).SerializeToString()


async def serve_edge(keys: Path) -> None:
    """The real edge."""
    log, logs = structlog.get_logger(), (EncodingLog(), MemoryEventLog())
    partitions = MemoryPartitions({CITY: 0})
    edge = Edge(partitions, *logs, MemoryOffers(), SystemClock(), Limits(), log, linger_ms=10)
    api = RiderLinkApi(edge, TokenVerifier(keys / "jwks.json"), log)
    server = Server("127.0.0.1:0", [SERVICE], [api.add_to])
    await server.start()
    calm_collector()
    running = asyncio.create_task(edge.run())
    say({"port": server.port})
    await left()
    running.cancel()
    await server.stop(0)


async def serve_bare(answers: bool) -> None:
    """A server that reads, and answers each message or none."""

    async def connect(_: Any, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        while isinstance(await context.read(), bytes):  # else grpc.aio.EOF
            if answers:
                await context.write(b"\x12\x03\x08\xff\x7f")

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

    async def send(self) -> None:
        """Sends until cancelled."""
        seqs = np.arange(1, self.batch + 1, dtype="<u8")
        while True:
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
                self.acked += self.batch
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
    tasks = [asyncio.create_task(rider.send()) for rider in riders]
    if kind != "sink":
        tasks += [asyncio.create_task(rider.hear()) for rider in riders]
    await asyncio.sleep(WARM_UP_S)
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
        async with Child("benchmarks.motion.edge", ("--serve", kind, "--keys", folder)) as server:
            port = (await server.told())["port"]
            return await drive(kind, port, server.pid, case, signer, seconds)


async def measure(seconds: float, tell: Say) -> dict[str, Any]:
    """All cases against the three servers."""
    rows = []
    for case in CASES:
        rates = {}
        for kind in ("edge", "echo", "sink"):
            tell(f"edge: {case.name}: {kind}")
            rates[kind] = round(await rate(kind, case, seconds))
        rows.append(
            {
                **asdict(case),
                "fixes_per_cpu_s": rates,
                "us_per_fix": {kind: round(1e6 / value, 3) for kind, value in rates.items()},
                "edge_to_echo": round(rates["edge"] / rates["echo"], 3),
            }
        )
    return {"cases": rows, "load_average": os.getloadavg()[0]}


def figures(section: dict[str, Any]) -> Sequence[Figure]:
    """Each case against its target, and against the echo."""
    found = []
    for row in section["cases"]:
        rates = row["fixes_per_cpu_s"]
        name, unit = f"edge, {row['name']}", "fixes/CPU s"
        found.append(at_least(name, rates["edge"], row["target"], unit, rates["echo"], "bare grpc.aio echo"))
        found.append(at_least(f"{name}, share of the echo", row["edge_to_echo"], ECHO_SHARE, "of the echo"))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", choices=("edge", "echo", "sink"), required=True)
    parser.add_argument("--keys", type=Path, required=True)
    args = parser.parse_args()
    uvloop.run(serve_edge(args.keys) if args.serve == "edge" else serve_bare(args.serve == "echo"))


if __name__ == "__main__":
    main()
