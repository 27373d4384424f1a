"""Shards on the local stack with a map of their own, and somebody who writes what riders and orders would."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import grpc.aio
import numpy as np
from aiokafka import AIOKafkaProducer, TopicPartition
from grpc_health.v1 import health_pb2, health_pb2_grpc
from redis.asyncio import Redis

from deploy.stack.ports import Ports
from deploy.stack.stack import LocalStack
from node import kafka
from node.clock import SystemClock
from proto.common.v1.types_pb2 import LatLng
from proto.dispatch.v1 import city_event_pb2, dispatch_pb2
from proto.dispatch.v1.dispatch_event_pb2 import DispatchEvent
from proto.dispatch.v1.dispatch_pb2_grpc import DispatchStub
from proto.fix_columns import FixColumns
from proto.fix_messages import encode_fixes
from proto.topics import CITY_EVENTS, CITY_PARTITIONS, DISPATCH_EVENTS, RIDER_PINGS
from proto.tracking.v1 import rider_link_pb2
from shard_router.adapters.postgres import PostgresRouterStore, prepare
from shard_router.topology import CityEntry
from tests.integration.channel import channel_to

LAT_E7, LNG_E7 = -299_027_000, -712_520_000
_FREE = range(CITY_PARTITIONS // 2, CITY_PARTITIONS)
#: Partitions for cities of tests: the first half belongs to the cities that a router puts on the map by itself. Each is
#: used before one is used again, since a city reads what others left in its partition.
_PARTITIONS = itertools.cycle(random.SystemRandom().sample(_FREE, len(_FREE)))
#: Some 110 m.
STEP_E7 = 10_000


@dataclass(slots=True)
class ShardProcess:
    """A running `dispatch.main`."""

    process: asyncio.subprocess.Process
    address: str

    async def kill(self) -> None:
        """As a crash would."""
        self.process.kill()
        await self.process.wait()


@dataclass(slots=True)
class DispatchWorld:
    """Cities of its own on the shared stack: what a test writes and reads."""

    env: Mapping[str, str]
    pool: asyncpg.Pool
    store: PostgresRouterStore
    producer: AIOKafkaProducer
    ports: Ports
    cities: Mapping[str, int]
    clock: SystemClock = field(default_factory=SystemClock)
    first_rider: int = field(default_factory=lambda: random.SystemRandom().randrange(1 << 40, 1 << 62))
    name: str = field(default_factory=lambda: f"t{random.SystemRandom().randrange(1 << 40):x}")
    _seq: int = 0

    @asynccontextmanager
    async def shard(self, shard_id: str, *, main: str = "dispatch.main", **env: str) -> AsyncIterator[ShardProcess]:
        """A shard that answers calls; stopped in good order at the end, unless it is dead already."""
        address = f"127.0.0.1:{self.ports.take()}"
        environment = {**os.environ, **self.env, "FORNO_LISTEN": address, "FORNO_SHARD_ID": shard_id, **env}
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", main, env=environment)
        try:
            await _serving(process, address)
            yield ShardProcess(process, address)
        finally:
            if process.returncode is None:
                process.terminate()
                assert await process.wait() == 0

    @asynccontextmanager
    async def router(self) -> AsyncIterator[str]:
        """A shard router on the same map; its address."""
        address = f"127.0.0.1:{self.ports.take()}"
        environment = {**os.environ, **self.env, "FORNO_LISTEN": address}
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "shard_router.main", env=environment)
        try:
            await _serving(process, address)
            yield address
        finally:
            process.terminate()
            assert await process.wait() == 0

    async def owner(self, city: str, shard_id: str | None = None) -> str:
        """The address of the city's owner, once it has one (or that one)."""
        async with asyncio.timeout(30):
            while True:
                entry = (await self.store.read_map()).cities[city]
                if entry.owner and entry.address and shard_id in (None, entry.owner):
                    return entry.address
                await asyncio.sleep(0.05)

    async def alive(self, shard_id: str) -> None:
        """Waits until a shard is on the map."""
        async with asyncio.timeout(30):
            while True:
                if (await self.store.read_map()).alive(shard_id):
                    return
                await asyncio.sleep(0.05)

    async def ask(self, city: str, call: Callable[[Any], Any]) -> Any:
        """Calls the owner of a city, again until it speaks for the city."""
        async with asyncio.timeout(30):
            while True:
                address = await self.owner(city)
                async with grpc.aio.insecure_channel(address) as channel:
                    try:
                        return await call(DispatchStub(channel))
                    except grpc.aio.AioRpcError as error:
                        if error.code() not in (grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.UNAVAILABLE):
                            raise
                await asyncio.sleep(0.05)

    def rider(self, number: int) -> int:
        """The id of the world's n-th rider."""
        return self.first_rider + number

    def order(self, number: int) -> str:
        """The id of the world's n-th order."""
        return f"{self.name}-{number}"

    def seq(self) -> int:
        """A number greater than the last."""
        self._seq += 1
        return self._seq

    async def fixes(self, city: str, places: Mapping[int, tuple[int, int]]) -> None:
        """One fix of each rider (by number), at (north, east) steps from the centre."""
        count, now_ms = len(places), self.clock.domain_ms()
        north, east = np.array(list(places.values()), np.int64).T
        columns = FixColumns(
            rider_id=np.array([self.rider(number) for number in places], np.uint64),
            session=np.ones(count, np.uint64),
            seq=np.full(count, self.seq(), np.uint64),
            ts_ms=np.full(count, now_ms, np.int64),
            lat_e7=(LAT_E7 + STEP_E7 * north).astype(np.int32),
            lng_e7=(LNG_E7 + STEP_E7 * east).astype(np.int32),
            accuracy_dm=np.full(count, 50, np.uint16),
            heading_cdeg=np.zeros(count, np.uint16),
            speed_cms=np.full(count, 500, np.uint16),
            flags=np.zeros(count, np.uint8),
        )
        value = encode_fixes(city, columns, "test", self.clock.wall_ms())
        await self.producer.send_and_wait(RIDER_PINGS.name, value, partition=self.cities[city])

    async def event(self, city: str, **kind: Any) -> None:
        """An event into the city's log."""
        event_id = f"{self.name}-{self.seq()}"
        message = city_event_pb2.CityEvent(event_id=event_id, city=city, sent_wall_ms=self.clock.wall_ms(), **kind)
        await self.producer.send_and_wait(CITY_EVENTS.name, message.SerializeToString(), partition=self.cities[city])

    async def status(self, city: str, rider: int, status: Any, order_id: str = "", **more: Any) -> None:
        """Send the status of a rider's app."""
        update = rider_link_pb2.StatusUpdate(
            seq=self.seq(), status=status, order_id=order_id, ts_ms=self.clock.domain_ms(), **more
        )
        changed = city_event_pb2.RiderStatusChanged(rider_id=self.rider(rider), session=1, status=update)
        await self.event(city, rider_status=changed)

    async def reply(self, city: str, offer: dispatch_pb2.RiderOffer, *, accepted: bool) -> None:
        """A rider's answer to an offer."""
        reply = rider_link_pb2.OfferReply(
            seq=self.seq(), offer_id=offer.offer.offer_id, accepted=accepted, ts_ms=self.clock.domain_ms()
        )
        replied = city_event_pb2.RiderReplied(rider_id=offer.rider_id, session=1, reply=reply)
        await self.event(city, rider_replied=replied)

    async def open_order(self, city: str, number: int, *, restaurant: tuple[int, int], door: tuple[int, int]) -> str:
        """An order whose food is ready now; places in steps from the centre."""
        now_ms = self.clock.domain_ms()
        opened = city_event_pb2.OrderOpened(
            order_id=self.order(number),
            restaurant_id=f"restaurant {restaurant}",
            pickup=place(*restaurant),
            dropoff=place(*door),
            placed_ms=now_ms,
            ready_ms=now_ms,
            promised_ms=now_ms + 1_800_000,
            items=2,
        )
        await self.event(city, order_opened=opened)
        return opened.order_id

    async def offers(self, city: str) -> list[dispatch_pb2.RiderOffer]:
        """Live offers of a city."""
        answer = await self.ask(city, lambda stub: stub.OpenOffers(dispatch_pb2.OpenOffersRequest(city=city)))
        return list(answer.offers)

    async def offer_for(self, city: str, order_id: str) -> dispatch_pb2.RiderOffer:
        """The live offer of an order, once there is one.

        To a rider who has just delivered it comes 30 s later: half a drop-off service less the lead of offers.
        """
        async with asyncio.timeout(60):
            while True:
                for offer in await self.offers(city):
                    if order_id in offer.offer.order_ids:
                        return offer
                await asyncio.sleep(0.05)

    async def track(self, city: str, order_id: str, state: int | None = None) -> dispatch_pb2.TrackResponse:
        """The order's track, once it is in a state."""
        request = dispatch_pb2.TrackRequest(city=city, order_id=order_id)
        async with asyncio.timeout(30):
            while True:
                answer: dispatch_pb2.TrackResponse = await self.ask(city, lambda stub: stub.Track(request))
                if state in (None, answer.state):
                    return answer
                await asyncio.sleep(0.05)

    async def in_geo(self, city: str, rider: int) -> None:
        """Waits until the GEO view shows a rider."""
        redis = Redis.from_url(self.env["FORNO_REDIS_URL"])
        async with asyncio.timeout(30):
            while True:
                if await redis.zscore(f"geo:{city}", str(self.rider(rider))) is not None:
                    break
                await asyncio.sleep(0.05)
        await redis.aclose()

    async def results(self, order_id: str, count: int) -> list[DispatchEvent]:
        """The first `count` results of an order in dispatch.events, repetitions included, once there are so many."""
        reader = kafka.consumer(self.env["FORNO_KAFKA_URL"])
        await reader.start()
        found: list[DispatchEvent] = []
        try:
            numbers = await kafka.partitions_of(reader, DISPATCH_EVENTS.name)
            reader.assign([TopicPartition(DISPATCH_EVENTS.name, number) for number in numbers])
            await reader.seek_to_beginning()
            async with asyncio.timeout(30):
                while len(found) < count:
                    for records in (await reader.getmany(timeout_ms=100)).values():
                        events = (DispatchEvent.FromString(record.value) for record in records)
                        found += [event for event in events if event.order_id == order_id]
            return found
        finally:
            await reader.stop()


def place(north: int, east: int) -> LatLng:
    """The place so many steps from the centre."""
    return LatLng(lat_e7=LAT_E7 + STEP_E7 * north, lng_e7=LNG_E7 + STEP_E7 * east)


async def _serving(process: asyncio.subprocess.Process, address: str) -> None:
    """Waits until the process answers, or fails as soon as it has ended."""
    async with channel_to(address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        asked = asyncio.ensure_future(health.Check(health_pb2.HealthCheckRequest(), wait_for_ready=True, timeout=60))
        ended = asyncio.ensure_future(process.wait())
        await asyncio.wait({asked, ended}, return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        assert process.returncode is None, "the shard ended at its start"
        await asked


@asynccontextmanager
async def dispatch_world(
    stack: LocalStack, database: str, folder: Path, cities: int = 1
) -> AsyncIterator[DispatchWorld]:
    """A map with so many cities, on partitions drawn anew, in a database of its own. No shard runs yet."""
    base, _, name = database.rpartition("/")
    await prepare(database)
    draw = random.SystemRandom()
    names = {f"city-{draw.randrange(1 << 40):x}": partition for partition in itertools.islice(_PARTITIONS, cities)}
    # A test may run on a slow machine: offers wait, and fixes count, for as long as it takes.
    params = folder / "params.json"
    params.write_text(json.dumps({"offers": {"timeout_s": 600}, "candidates": {"max_age_s": 3600}}))
    env = {**stack.env, "FORNO_POSTGRES_URL": base, "FORNO_CORE_DATABASE": name, "FORNO_TICK_PERIOD_MS": "200"}
    env["FORNO_PARAMS_FILE"] = str(params)
    pool = await asyncpg.create_pool(database, min_size=1, max_size=4)
    producer = kafka.producer(stack.env["FORNO_KAFKA_URL"])
    await producer.start()
    store = PostgresRouterStore(pool)
    entries = [CityEntry(city, city, n, "America/Santiago", "CLP", LAT_E7, LNG_E7) for city, n in names.items()]
    await store.ensure_cities(entries)
    try:
        with Ports() as ports:
            yield DispatchWorld(env, pool, store, producer, ports, names)
    finally:
        await producer.stop()
        await pool.close()
