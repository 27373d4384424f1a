"""One suite for every pair of input logs: in memory and Kafka."""

from __future__ import annotations

import random
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer

from deploy.stack.stack import LocalStack
from dispatch.engine.log_inputs import LogEvent
from dispatch.logs.adapters.kafka import KEPT_BAD, KafkaCityLogs
from dispatch.logs.adapters.memory import MemoryCityLogs, MemoryLog
from dispatch.logs.cut import Cut
from dispatch.logs.ports import CityLogs, Read
from dispatch.metrics import BAD_DISCARDED
from node import kafka
from node.errors import Retryable
from node.set_aside import KEPT_BYTES, BadMessage, SetAside
from proto.dispatch.v1.city_event_pb2 import CityEvent, OrderCancelled
from proto.fix_messages import encode_fixes
from proto.topics import CITY_EVENTS, CITY_PARTITIONS, RIDER_PINGS
from tests.unit.dispatch.shard.worlds import fixes


class Writer(Protocol):
    """Writes into both logs of the partition."""

    async def pings(self, value: bytes) -> None: ...

    async def event(self, value: bytes) -> None: ...


@dataclass
class MemoryWriter:
    log: MemoryLog
    partition: int

    async def pings(self, value: bytes) -> None:
        await self.log.append_pings(self.partition, value)

    async def event(self, value: bytes) -> None:
        await self.log.append_event(self.partition, value)


@dataclass
class KafkaWriter:
    producer: AIOKafkaProducer
    partition: int

    async def pings(self, value: bytes) -> None:
        await self.producer.send_and_wait(RIDER_PINGS.name, value, partition=self.partition)

    async def event(self, value: bytes) -> None:
        await self.producer.send_and_wait(CITY_EVENTS.name, value, partition=self.partition)


@dataclass
class Bench:
    """Logs of one city, and a hand that writes into them."""

    logs: CityLogs
    writer: Writer
    city: str
    partition: int

    async def tell(self, *names: str) -> None:
        """Events with these ids."""
        for name in names:
            message = CityEvent(event_id=name, city=self.city, order_cancelled=OrderCancelled(order_id="o"))
            await self.writer.event(message.SerializeToString())

    async def fix(self, rider: int, seq: int) -> None:
        """A batch with one fix."""
        await self.writer.pings(encode_fixes(self.city, fixes({rider: (0, 0)}, seq=seq), "test", 5))

    async def read_until(self, events: int, batches: int) -> tuple[list[LogEvent], list[Read]]:
        """Reads until so much has come; events of other cities on the partition left out."""
        heard: list[LogEvent] = []
        reads: list[Read] = []
        for _ in range(200):
            if len(heard) >= events and sum(len(read.fixes) for read in reads) >= batches:
                break
            read = await self.logs.read(0.2)
            heard += [event for event in read.events if event.input is not None]
            reads.append(read)
        return heard, reads


def city_of_its_own() -> tuple[str, int]:
    """A city that no other test knows, and its partition."""
    # The last partition is the one of the tracking logs, who do not expect what is written here.
    return f"city-{uuid.uuid4().hex[:8]}", random.SystemRandom().randrange(CITY_PARTITIONS - 1)


@asynccontextmanager
async def kafka_bench(
    stack: LocalStack, set_aside: SetAside | None = None
) -> AsyncIterator[tuple[Bench, KafkaCityLogs]]:
    """Logs in Kafka."""
    url, (city, partition) = stack.env["FORNO_KAFKA_URL"], city_of_its_own()
    identity, producer = kafka.LogIdentity(url), kafka.producer(url)
    await producer.start()
    logs = KafkaCityLogs(url, identity, city, 3, set_aside=set_aside)
    yield Bench(logs, KafkaWriter(producer, partition), city, partition), logs
    await logs.close()
    await producer.stop()
    await identity.close()


@pytest_asyncio.fixture(params=["memory", "kafka"], loop_scope="session")
async def bench(request: pytest.FixtureRequest, stack: LocalStack) -> AsyncIterator[Bench]:
    """Logs that nobody else's messages are understood in."""
    if request.param == "memory":
        log, (city, partition) = MemoryLog(), city_of_its_own()
        yield Bench(MemoryCityLogs(log, city), MemoryWriter(log, partition), city, partition)
        return
    async with kafka_bench(stack) as (made, _):
        yield made


def ids(heard: Sequence[LogEvent]) -> list[str]:
    """Their ids."""
    return [event.event_id for event in heard]


async def test_both_logs_are_read_in_order(bench: Bench) -> None:
    """Everything written is read once, in order, and the cut moves with it."""
    start = await bench.logs.open(bench.partition, None, 0)
    await bench.tell("a", "b", "c")
    await bench.fix(17, 1)
    await bench.fix(17, 2)
    heard, reads = await bench.read_until(3, 2)
    assert ids(heard) == ["a", "b", "c"]
    assert [int(f.seq[0]) for read in reads for f in read.fixes] == [1, 2]
    assert next(read.packed_wall_ms for read in reads if read.fixes) == 5
    end = await bench.logs.ends()
    assert reads[-1].cut == end
    assert end.pings_offset >= start.pings_offset + 2
    assert end.incarnation == start.incarnation


async def test_reading_goes_on_from_a_cut(bench: Bench) -> None:
    """Opened at a cut, only what came after it is read; ids before it are told on request."""
    await bench.logs.open(bench.partition, None, 0)
    await bench.tell("a", "b")
    await bench.read_until(2, 0)
    cut = await bench.logs.ends()
    await bench.tell("c")
    assert await bench.logs.open(bench.partition, cut, 0) == cut
    assert ids((await bench.read_until(1, 0))[0]) == ["c"]
    assert list(await bench.logs.ids_before(cut, 2)) == ["a", "b"]


async def test_a_rewind_reads_fixes_again_but_no_events(bench: Bench) -> None:
    """A new owner sees the last minutes of fixes, and events from the cut only."""
    await bench.logs.open(bench.partition, None, 0)
    await bench.tell("a")
    await bench.fix(17, 1)
    await bench.read_until(1, 1)
    cut = await bench.logs.ends()
    start = await bench.logs.open(bench.partition, cut, 600_000)
    assert start.pings_offset < cut.pings_offset
    assert start.events_offset == cut.events_offset
    heard, reads = await bench.read_until(0, 1)
    assert ids(heard) == []
    assert sum(len(read.fixes) for read in reads) == 1


async def test_a_cut_of_another_log_means_nothing(bench: Bench) -> None:
    """Reading begins at the beginning of the log that there is."""
    await bench.logs.open(bench.partition, None, 0)
    await bench.tell("a")
    start = await bench.logs.open(bench.partition, Cut("another", bench.partition, 10**6, 10**6), 0)
    assert start.incarnation != "another"
    assert "a" in ids((await bench.read_until(1, 0))[0])


async def test_an_offset_beyond_the_end_is_put_right(bench: Bench) -> None:
    """As after a log was cut off: reading begins at the beginning."""
    start = await bench.logs.open(bench.partition, None, 0)
    await bench.tell("a")
    if isinstance(bench.logs, MemoryCityLogs):
        return  # its logs are never cut off
    beyond = Cut(start.incarnation, bench.partition, 10**6, 10**6)
    assert (await bench.logs.open(bench.partition, beyond, 0)).events_offset < 10**6


async def test_rubbish_is_passed_over(bench: Bench) -> None:
    """Undecodable messages, and those of other cities, have no effect but the offset."""
    await bench.logs.open(bench.partition, None, 0)
    await bench.writer.pings(b"\xff\xfe rubbish")
    await bench.writer.event(b"\xff\xfe rubbish")
    await bench.writer.pings(encode_fixes("elsewhere", fixes({1: (0, 0)}), "test", 5))
    await bench.tell("a")
    await bench.fix(17, 1)
    heard, reads = await bench.read_until(1, 1)
    assert ids(heard) == ["a"]
    assert sum(len(read.fixes) for read in reads) == 1


class Aside:
    """Messages that were set aside; refused while the database is away."""

    def __init__(self) -> None:
        self.messages: list[BadMessage] = []
        self.away = False

    async def add(self, bad: Sequence[BadMessage]) -> None:
        if self.away:
            raise Retryable("the database is away")
        self.messages += bad

    def payloads(self, city: str) -> list[bytes]:
        """Those that name the city."""
        return [bad.payload for bad in self.messages if city.encode() in bad.payload]


def of_no_kind(city: str, number: int = 0) -> bytes:
    """An event that no release understands."""
    return CityEvent(event_id=f"of no kind {number}", city=city).SerializeToString()


async def test_who_only_follows_a_city_sets_nothing_aside_before_it_owns_it(stack: LocalStack) -> None:
    """Nothing that the owner before it may not have come to is lost, be the logs opened anew meanwhile."""
    aside = Aside()
    async with kafka_bench(stack, aside.add) as (bench, logs):
        logs.follow_only()
        await logs.open(bench.partition, None, 0)
        await bench.writer.event(of_no_kind(bench.city))
        await bench.tell("a")
        _, reads = await bench.read_until(1, 0)
        assert aside.messages == []
        await logs.open(bench.partition, reads[-1].cut, 0)
        logs.own()
        await bench.tell("b")
        await bench.read_until(1, 0)
        assert aside.payloads(bench.city) == [of_no_kind(bench.city)]


async def test_what_cannot_be_set_aside_yet_is_kept_once(stack: LocalStack) -> None:
    """While the database is away the owner opens its logs anew, and finds the same message each time."""
    aside = Aside()
    async with kafka_bench(stack, aside.add) as (bench, logs):
        await logs.open(bench.partition, None, 0)
        end = await logs.ends()
        await bench.writer.event(of_no_kind(bench.city))
        aside.away = True
        for _ in range(3):
            await logs.open(bench.partition, end, 0)
            with pytest.raises(Retryable, match="the database is away"):
                await bench.read_until(1, 0)
        aside.away = False
        await bench.tell("a")
        await bench.read_until(1, 0)
        assert aside.payloads(bench.city) == [of_no_kind(bench.city)]


async def test_a_follower_keeps_the_beginnings_of_the_newest_bad_messages(stack: LocalStack) -> None:
    """A flood of large ones must not fill its memory; those that are forgotten are counted."""
    aside = Aside()
    async with kafka_bench(stack, aside.add) as (bench, logs):
        logs.follow_only()
        await logs.open(bench.partition, None, 0)
        await logs.open(bench.partition, await logs.ends(), 0)
        values = [of_no_kind(bench.city, number) for number in range(KEPT_BAD + 2)]
        values[-1] += b"\xff" * KEPT_BYTES
        for value in values:
            await bench.writer.event(value)
        await bench.tell("a")
        await bench.read_until(1, 0)
        logs.own()
        await bench.tell("b")
        await bench.read_until(1, 0)
        assert aside.payloads(bench.city) == [value[:KEPT_BYTES] for value in values[2:]]
        assert aside.messages[-1].size == len(values[-1])
        assert BAD_DISCARDED.labels(bench.city)._value.get() == 2


async def test_a_reader_for_whom_nobody_sets_aside_keeps_nothing(stack: LocalStack) -> None:
    """As that of the trails: the city's owner sets aside the same messages."""
    async with kafka_bench(stack) as (bench, logs):
        await logs.open(bench.partition, None, 0)
        await bench.writer.event(of_no_kind(bench.city))
        await bench.tell("a")
        await bench.read_until(1, 0)
        assert logs._bad == []
