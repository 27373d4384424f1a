"""What a fix costs at the riders' edge, from the gRPC stream to the columnar message for the log, beside bare gRPC.

    python -m benchmarks.micro.edge [--seconds 4] [--json FILE]

Three servers of one shape take the same messages from the same client, one after another, each in a process of its own:
*edge* is the real one with everything but the broker (tokens, parsing, checks, jumps, packing, `FixColumns`, acks);
*echo* is `grpc.aio` that answers each message with a few bytes (the edge acknowledges a stream at most every 100 ms);
*sink* only reads. The figure is fixes per second of the server's CPU time (user + system, all threads), so that the
client, which costs as much, and neighbours on the machine do not count.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import numpy as np
import structlog
import uvloop

from node.clock import SystemClock
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
CITY = "la-serena"
#: Un-acknowledged fixes a stream; the edge itself allows 2,000.
WINDOW = 1_000
WARM_UP_S = 1.0


@dataclass(frozen=True, slots=True)
class Case:
    """A shape of load."""

    name: str
    batch: int
    streams: int
    connections: int


CASES = (
    Case("50 fixes a message, 20 streams on 2 connections", 50, 20, 2),
    Case("1 fix a message, 200 streams on 2 connections", 1, 200, 2),
    Case("1 fix a message, 200 streams on 200 connections", 1, 200, 200),
)


class EncodingLog:
    """Makes the message for the broker and forgets it."""

    async def append(self, city: str, partition: int, fixes: Fixes) -> None:
        fix_columns(city, fixes, "edge-1", 0).SerializeToString()


async def serve(kind: str, keys: Path) -> None:
    """Runs a server until killed; prints its port."""
    log = structlog.get_logger()
    if kind == "edge":
        edge = Edge(
            MemoryPartitions({CITY: 0}),
            EncodingLog(),
            MemoryEventLog(),
            MemoryOffers(),
            SystemClock(),
            Limits(),
            log,
            linger_ms=5,
        )
        api = RiderLinkApi(edge, TokenVerifier(keys / "jwks.json"), log)
        server = Server("127.0.0.1:0", [SERVICE], [api.add_to])
        await server.start()
        print(server.port, flush=True)
        await edge.run()
    answers = kind == "echo"

    async def connect(_: Any, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        while isinstance(await context.read(), bytes):  # else grpc.aio.EOF
            if answers:
                await context.write(b"\x12\x03\x08\xff\x7f")

    bare = grpc.aio.server(options=[("grpc.max_receive_message_length", 1 << 20)])
    handlers: dict[str, Any] = {"Connect": grpc.stream_stream_rpc_method_handler(connect)}
    bare.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    port = bare.add_insecure_port("127.0.0.1:0")
    await bare.start()
    print(port, flush=True)
    await bare.wait_for_termination()


def cpu_s(pid: int) -> float:
    """CPU time a process has used, all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Rider:
    """A stream that sends as fast as its window allows."""

    def __init__(self, call: Any, kind: str, batch: int) -> None:
        self.call, self.kind, self.batch = call, kind, batch
        self.sent = self.acked = 0
        self._room = asyncio.Event()
        clock = SystemClock()
        rows = tuple((clock.domain_ms(), -299_000_000 + i, -712_000_000, 50, 0, 500) for i in range(batch))
        message = pb.ConnectRequest(pings=wire.ping_batch(1, rows)).SerializeToString()
        first = np.arange(1, batch + 1, dtype="<u8").tobytes()
        self._head, _, self._tail = message.partition(first)

    async def open(self) -> None:
        hello = wire.hello(SystemClock().domain_ms(), 0, "bench").SerializeToString()
        await self.call.write(hello)
        if self.kind != "sink":
            await self.call.read()

    async def send(self) -> None:
        seqs = np.arange(1, self.batch + 1, dtype="<u8")
        while True:
            if self.kind != "sink" and self.sent - self.acked >= WINDOW:
                self._room.clear()
                await self._room.wait()
            await self.call.write(self._head + (seqs + self.sent).tobytes() + self._tail)
            self.sent += self.batch

    async def hear(self) -> None:
        while True:
            raw = await self.call.read()
            if self.kind == "edge":
                self.acked = pb.ConnectResponse.FromString(raw).ack.seq
            else:
                self.acked += self.batch
            self._room.set()


async def drive(kind: str, port: int, pid: int, case: Case, signer: TokenSigner, seconds: float) -> float:
    """Fixes a second of the server's CPU time."""
    options = (("grpc.use_local_subchannel_pool", 1),)
    channels = [grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) for _ in range(case.connections)]
    riders = []
    for number in range(case.streams):
        token = signer.sign("rider", str(number + 1), ttl_s=600, city=CITY)
        connect: Any = channels[number % case.connections].stream_stream(METHOD)
        riders.append(Rider(connect(metadata=(("authorization", f"Bearer {token}"),)), kind, case.batch))
        await riders[-1].open()
    tasks = [asyncio.create_task(rider.send()) for rider in riders]
    if kind != "sink":
        tasks += [asyncio.create_task(rider.hear()) for rider in riders]
    await asyncio.sleep(WARM_UP_S)
    # The sink tells nobody what it has read: what was sent is off by the sockets' buffers, little beside the whole.
    before, cpu = sum(r.acked if kind != "sink" else r.sent for r in riders), cpu_s(pid)
    await asyncio.sleep(seconds)
    after, cpu = sum(r.acked if kind != "sink" else r.sent for r in riders), cpu_s(pid) - cpu
    failed = [task for task in tasks if task.done()]
    if failed:
        failed[0].result()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for channel in channels:
        await channel.close()
    return (after - before) / cpu


async def measure(case: Case, seconds: float) -> dict[str, Any]:
    """One case against the three servers."""
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        keys = Path(folder)
        create_keys(keys / "key.pem", keys / "jwks.json")
        signer = TokenSigner(keys / "key.pem")
        for kind in ("edge", "echo", "sink"):
            command = [sys.executable, "-m", "benchmarks.micro.edge", "--serve", kind, "--keys", folder]
            server = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
            assert server.stdout is not None
            try:
                port = int(await server.stdout.readline())
                figures[kind] = await drive(kind, port, server.pid, case, signer, seconds)
            finally:
                server.kill()
                await server.wait()
    return {
        **asdict(case),
        "fixes_per_cpu_s": {kind: round(value) for kind, value in figures.items()},
        "edge_us_per_fix": round(1e6 / figures["edge"], 3),
        "edge_to_echo": round(figures["edge"] / figures["echo"], 2),
        "edge_to_sink": round(figures["edge"] / figures["sink"], 2),
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.micro.edge", description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="measured for so long, each server and case")
    parser.add_argument("--json", type=Path, help="write the figures to a file")
    parser.add_argument("--serve", choices=("edge", "echo", "sink"), help=argparse.SUPPRESS)
    parser.add_argument("--keys", type=Path, help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.serve:
        uvloop.run(serve(words.serve, words.keys))
        return 0
    started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    rows = []
    for case in CASES:
        rows.append(uvloop.run(measure(case, words.seconds)))
        print(json.dumps(rows[-1]), flush=True)
    if words.json:
        words.json.write_text(json.dumps({"at": started, "cpus": os.cpu_count(), "cases": rows}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
