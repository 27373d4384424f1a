"""The edge's logs: the memory ones and Kafka keep the same promises (`tracking.ports`)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer

from deploy.stack.stack import LocalStack
from node import kafka
from node.clock import ManualClock
from proto.columns import FIX_COLUMNS, unpack
from proto.dispatch.v1.city_event_pb2 import CityEvent
from proto.fix_columns import FixColumns
from proto.topics import CITY_EVENTS, RIDER_PINGS
from proto.tracking.v1 import fix_columns_pb2
from tests.integration.tracking_world import read_all
from tests.unit.tracking.worlds import NOW_MS
from tracking.adapters.kafka import KafkaEventLog, KafkaFixLog
from tracking.adapters.memory import MemoryEventLog, MemoryFixLog
from tracking.errors import LogAway
from tracking.model import RiderEvent, RiderId, RiderReplied, RiderStatusChanged, SessionId
from tracking.ports import EventLog, FixLog
from tracking.statuses import RiderStatus, Vehicle

CITY = "contract-city"
#: A partition that no city of the other tests has.
PARTITION = 31
NOBODY = 10_000

Row = tuple[int, ...]


class Logs(Protocol):
    """A pair of logs, and what they hold."""

    @property
    def fixes(self) -> FixLog: ...

    @property
    def events(self) -> EventLog: ...

    async def logged_fixes(self) -> list[Row]:
        """All rows of columns of the city, in the log's order."""

    async def logged_events(self) -> list[RiderEvent]:
        """All events of the city, in the log's order."""


@dataclass(slots=True)
class MemoryLogs:
    """The ones for tests."""

    fixes: MemoryFixLog
    events: MemoryEventLog

    async def logged_fixes(self) -> list[Row]:
        return [row for city, fixes in self.fixes.messages.get(PARTITION, ()) for row in rows(fixes) if city == CITY]

    async def logged_events(self) -> list[RiderEvent]:
        return list(self.events.events.get(PARTITION, ()))


@dataclass(slots=True)
class KafkaLogs:
    """The real ones. `before` is how much of other runs the topics held."""

    url: str
    fixes: KafkaFixLog
    events: KafkaEventLog
    before: tuple[int, int] = (0, 0)

    async def all_fixes(self) -> list[Row]:
        messages = [
            fix_columns_pb2.FixColumns.FromString(value)
            for value in await read_all(self.url, RIDER_PINGS.name, [PARTITION])
        ]
        assert all(m.n == len(rows(fixes_of(m))) for m in messages)
        return [row for m in messages if m.city == CITY for row in rows(fixes_of(m))]

    async def all_events(self) -> list[RiderEvent]:
        messages = [CityEvent.FromString(value) for value in await read_all(self.url, CITY_EVENTS.name, [PARTITION])]
        return [event_of(message) for message in messages if message.city == CITY]

    async def logged_fixes(self) -> list[Row]:
        return (await self.all_fixes())[self.before[0] :]

    async def logged_events(self) -> list[RiderEvent]:
        return (await self.all_events())[self.before[1] :]


@pytest_asyncio.fixture(loop_scope="session")
async def producer(stack: LocalStack) -> AsyncIterator[AIOKafkaProducer]:
    """A producer on the local stack."""
    made = kafka.producer(stack.env["FORNO_KAFKA_URL"], linger_ms=0)
    await made.start()
    yield made
    await made.stop()


@pytest_asyncio.fixture(loop_scope="session", params=["memory", "kafka"])
async def logs(request: pytest.FixtureRequest, stack: LocalStack, producer: AIOKafkaProducer) -> Logs:
    """Each kind in turn."""
    if request.param == "memory":
        return MemoryLogs(MemoryFixLog(), MemoryEventLog())
    clock = ManualClock(NOW_MS)
    real = KafkaLogs(
        stack.env["FORNO_KAFKA_URL"], KafkaFixLog(producer, "edge-c", clock), KafkaEventLog(producer, clock)
    )
    real.before = (len(await real.all_fixes()), len(await real.all_events()))
    return real


def fixes(first_seq: int, n: int) -> FixColumns:
    """n fixes with the greatest and least values of every column among them."""
    spread = np.linspace(0.0, 1.0, n)

    def between(low: int, high: int, kind: str) -> Any:
        values = [low if at == 0 else high if at == 1 else int(low + at * (high - low)) for at in spread.tolist()]
        return np.array(values, kind)

    return FixColumns(
        rider_id=between(1, (1 << 64) - 1, "<u8"),
        session=between(1, (1 << 64) - 1, "<u8"),
        seq=np.arange(first_seq, first_seq + n, dtype="<u8"),
        ts_ms=between(-(1 << 63), (1 << 63) - 1, "<i8"),
        lat_e7=between(-900_000_000, 900_000_000, "<i4"),
        lng_e7=between(-1_800_000_000, 1_800_000_000, "<i4"),
        accuracy_dm=between(0, 65_535, "<u2"),
        heading_cdeg=between(0, 35_999, "<u2"),
        speed_cms=between(0, 65_535, "<u2"),
        flags=between(0, 255, "<u1"),
    )


def rows(of: FixColumns) -> list[Row]:
    """The columns as rows."""
    return list(zip(*(getattr(of, name).tolist() for name in FIX_COLUMNS), strict=True))


def fixes_of(message: fix_columns_pb2.FixColumns) -> FixColumns:
    """Fixes as a reader of the topic sees them."""
    return FixColumns(**unpack(FIX_COLUMNS, message))


def event_of(message: CityEvent) -> RiderEvent:
    """An event as a reader of the topic sees it."""
    assert message.sent_wall_ms == NOW_MS
    if message.WhichOneof("kind") == "rider_replied":
        said = message.rider_replied
        body: RiderReplied | RiderStatusChanged = RiderReplied(
            said.reply.offer_id, said.reply.accepted, said.reply.ts_ms
        )
        event = RiderEvent(message.city, RiderId(said.rider_id), SessionId(said.session), said.reply.seq, body)
    else:
        told = message.rider_status
        status = told.status
        at = (status.at.lat_e7, status.at.lng_e7) if status.HasField("at") else None
        body = RiderStatusChanged(
            status.status,
            status.order_id,
            status.ts_ms,
            status.shift_end_ms,
            status.capacity,
            status.vehicle,
            at,
        )
        event = RiderEvent(message.city, RiderId(told.rider_id), SessionId(told.session), status.seq, body)
    assert message.event_id == event.event_id
    return event


def event(seq: int, body: RiderReplied | RiderStatusChanged) -> RiderEvent:
    """An event of a rider with the greatest id."""
    return RiderEvent(CITY, RiderId((1 << 64) - 1), SessionId(1_760_000_000_000), seq, body)


async def test_fixes_come_back_as_they_went_in(logs: Logs) -> None:
    """Every column of every fix, the extremes too, and messages of one call after another in order."""
    await logs.fixes.append(CITY, PARTITION, fixes(1, 100))
    await logs.fixes.append(CITY, PARTITION, fixes(101, 2))
    assert await logs.logged_fixes() == rows(fixes(1, 100)) + rows(fixes(101, 2))


async def test_concurrent_appends_all_land(logs: Logs) -> None:
    """Ten appends at once: each is in the log once when it has returned."""
    await asyncio.gather(*(logs.fixes.append(CITY, PARTITION, fixes(1000 + 10 * n, 10)) for n in range(10)))
    assert sorted(row[2] for row in await logs.logged_fixes()) == list(range(1000, 1100))


async def test_events_land_in_their_order(logs: Logs) -> None:
    """Replies and statuses of one call, with all their fields."""
    bodies: list[RiderReplied | RiderStatusChanged] = [
        RiderStatusChanged(
            RiderStatus.ONLINE,
            "",
            5,
            shift_end_ms=9,
            capacity=3,
            vehicle=Vehicle.SCOOTER,
            at=(-900_000_000, 1_800_000_000),
        ),
        RiderReplied("offer-1", True, 6),
        RiderStatusChanged(RiderStatus.PICKED_UP, "order-1", 7),
        RiderReplied("offer-2", False, 8),
    ]
    wanted = [event(seq, body) for seq, body in enumerate(bodies, start=1)]
    await logs.events.append(PARTITION, wanted)
    await logs.events.append(PARTITION, [event(9, RiderReplied("offer-3", True, 9))] * 2)
    assert await logs.logged_events() == [*wanted, *[event(9, RiderReplied("offer-3", True, 9))] * 2]


async def test_a_log_that_does_not_answer_is_away(producer: AIOKafkaProducer) -> None:
    """What cannot be made durable raises LogAway: here a partition that does not exist, or a log told to be away."""
    memory = MemoryFixLog(away=True)
    clock = ManualClock(NOW_MS)
    real = KafkaFixLog(producer, "edge-c", clock)
    with pytest.raises(LogAway):
        await memory.append(CITY, PARTITION, fixes(1, 1))
    with pytest.raises(LogAway):
        await real.append(CITY, NOBODY, fixes(1, 1))
    with pytest.raises(LogAway):
        await KafkaEventLog(producer, clock).append(NOBODY, [event(1, RiderReplied("o", True, 1))])
