"""Edge processes on the local stack with a shard router, riders of their own, and a full read of what the log holds."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiokafka import TopicPartition

from deploy.stack.ports import Ports
from deploy.stack.stack import LocalStack
from node import kafka
from node.clock import SystemClock
from node.tokens import TokenSigner
from proto.columns import FIX_COLUMNS, unpack
from proto.dispatch.v1.city_event_pb2 import CityEvent
from proto.topics import CITY_EVENTS, RIDER_PINGS
from proto.tracking.v1.fix_columns_pb2 import FixColumns
from tests.shared_log import readable

CITY = "la-serena"
LAT_E7, LNG_E7 = -299_027_000, -712_520_000


@asynccontextmanager
async def process(module: str, address: str, env: Mapping[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """A service that is serving; stopped in good order at the end, unless it is dead already.

    It is serving when it logs so: a health check may be answered by another process on the same port.
    """
    environment = {**os.environ, **env, "FORNO_LISTEN": address}
    running = await asyncio.create_subprocess_exec(sys.executable, "-m", module, env=environment, stderr=PIPE)
    assert running.stderr is not None
    ready = asyncio.Event()
    log = asyncio.create_task(_follow(running.stderr, ready), name=f"log of {module}")
    try:
        await asyncio.wait_for(ready.wait(), 60)
        yield running
    finally:
        if running.returncode is None:
            running.terminate()
            assert await running.wait() == 0
        await log


async def _follow(log: asyncio.StreamReader, ready: asyncio.Event) -> None:
    """Shows a log until it ends."""
    async for line in log:
        sys.stderr.write(line.decode())
        if b'"event":"ready"' in line:
            ready.set()


@dataclass(slots=True)
class TrackingWorld:
    """The edge's address, and what a rider needs to speak to it."""

    stack_env: Mapping[str, str]
    env: Mapping[str, str]
    address: str
    signer: TokenSigner
    clock: SystemClock = field(default_factory=SystemClock)
    #: Riders of a world are its own: worlds share the logs of one stack.
    first_rider: int = field(default_factory=lambda: random.SystemRandom().randrange(1 << 40, 1 << 62))

    def token(self, rider: int, city: str = CITY) -> str:
        """A token of the world's n-th rider."""
        return self.signer.sign("rider", str(self.first_rider + rider), ttl_s=600, city=city)

    def edge(self, edge_id: str) -> Any:
        """Another edge process on the same port."""
        return process("tracking.main", self.address, {**self.env, "FORNO_EDGE_ID": edge_id})

    async def fixes(self) -> dict[int, set[tuple[int, int]]]:
        """(session, seq) of all fixes in `rider.pings`, by the number of the rider in this world."""
        found: dict[int, set[tuple[int, int]]] = {}
        for message in readable(FixColumns, await read_all(self.stack_env["FORNO_KAFKA_URL"], RIDER_PINGS.name)):
            columns = unpack(FIX_COLUMNS, message)
            rows = (columns[name].tolist() for name in ("rider_id", "session", "seq"))
            for rider, session, seq in zip(*rows, strict=True):
                found.setdefault(rider - self.first_rider, set()).add((session, seq))
        return found

    async def events(self) -> dict[str, CityEvent]:
        """The riders' events in `city.events`, by id with the number of the rider in this world in its first place."""
        found = {}
        for event in readable(CityEvent, await read_all(self.stack_env["FORNO_KAFKA_URL"], CITY_EVENTS.name)):
            rider, _, rest = event.event_id.partition("-")
            if rider.isdecimal():
                found[f"{int(rider) - self.first_rider}-{rest}"] = event
        return found


@asynccontextmanager
async def tracking_world(stack: LocalStack, database: str) -> AsyncIterator[TrackingWorld]:
    """A router on a database of its own, and a port for edges. No edge runs yet."""
    base, _, name = database.rpartition("/")
    with Ports() as ports:
        router, edge = (f"127.0.0.1:{ports.take()}" for _ in range(2))
        env = {**stack.env, "FORNO_POSTGRES_URL": base, "FORNO_CORE_DATABASE": name, "FORNO_ROUTER_ADDRESS": router}
        async with process("shard_router.main", router, env):
            yield TrackingWorld(stack.env, env, edge, TokenSigner(Path(stack.env["FORNO_JWT_PRIVATE_KEY_FILE"])))


async def read_all(kafka_url: str, topic: str, numbers: Iterable[int] = ()) -> list[bytes]:
    """Every message a topic holds now, partition by partition: all of them, or those with the given numbers."""
    reader = kafka.consumer(kafka_url)
    await reader.start()
    try:
        chosen = sorted(numbers) or sorted(await kafka.partitions_of(reader, topic))
        partitions = [TopicPartition(topic, number) for number in chosen]
        reader.assign(partitions)
        end = await reader.end_offsets(partitions)
        await reader.seek_to_beginning(*partitions)
        left = {partition for partition in partitions if end[partition] > 0}
        values: list[bytes] = []
        async with asyncio.timeout(60):
            while left:
                for partition, records in (await reader.getmany(timeout_ms=200)).items():
                    values += [record.value for record in records if record.offset < end[partition]]
                left = {partition for partition in left if await reader.position(partition) < end[partition]}
        return values
    finally:
        await reader.stop()
