"""The two input logs of a city, on any broker that speaks Kafka's protocol."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError
from google.protobuf.message import DecodeError

from dispatch.engine.log_inputs import LogEvent
from dispatch.logs import wire
from dispatch.logs.cut import Cut
from dispatch.logs.errors import LogReplaced
from dispatch.logs.ports import Read
from dispatch.metrics import BAD_DISCARDED
from node.errors import Retryable
from node.kafka import LogIdentity, consumer
from node.set_aside import BadMessage, SetAside, bad_record
from proto.fix_messages import decode_fixes
from proto.topics import CITY_EVENTS, RIDER_PINGS
from proto.tracking.v1 import fix_columns_pb2

#: The broker holds an empty fetch this long: latency does not hang on it, only idle traffic does.
_FETCH_WAIT_MS = 250
#: Messages that could not be read and that a shadow keeps, for those that the owner before it has not come to.
KEPT_BAD = 100
#: One message is read within this, wall seconds.
_ONE_READ_S = 10.0
#: A reader in no hurry has the broker gather so much, or for so long: a hundredth of the requests, on both sides.
_GATHERED = {"fetch_min_bytes": 1 << 18, "fetch_max_wait_ms": 1000}


class KafkaCityLogs:
    """`CityLogs` by a consumer of its own with two partitions assigned by hand."""

    def __init__(
        self,
        url: str,
        identity: LogIdentity,
        city: str,
        default_capacity: int,
        topic_prefix: str = "",
        *,
        low_latency: bool = True,
        set_aside: SetAside | None = None,
    ) -> None:
        self._url = url
        self._identity = identity
        self._city = city
        self._capacity = default_capacity
        self._fetch = {"fetch_max_wait_ms": _FETCH_WAIT_MS} if low_latency else _GATHERED
        self._names = (topic_prefix + RIDER_PINGS.name, topic_prefix + CITY_EVENTS.name)
        self._consumer: AIOKafkaConsumer | None = None
        self._cut = Cut("", 0, 0, 0)
        self._set_aside = set_aside
        #: Read, but not handed over: what could not be read is not set aside yet.
        self._kept_back: Read | None = None
        #: To be set aside; none of a reader for whom nobody does that.
        self._bad: list[BadMessage] = []
        self._follows_only = False

    async def open(self, partition: int, cut: Cut | None, rewind_ms: int) -> Cut:
        await self.close()
        try:
            return await self._open(partition, cut, rewind_ms)
        except (KafkaError, OSError, TimeoutError) as error:
            await self.close()
            raise Retryable(f"kafka is away: {error!r}", reason="KAFKA_AWAY") from error
        except BaseException:
            await self.close()
            raise

    async def _open(self, partition: int, cut: Cut | None, rewind_ms: int) -> Cut:
        name = await self._identity.ask()
        self._consumer = reader = consumer(self._url, **self._fetch)
        await reader.start()
        pings, events = self._partitions(partition)
        reader.assign([pings, events])
        first = await reader.beginning_offsets([pings, events])
        end = await reader.end_offsets([pings, events])
        same = cut is not None and cut.incarnation == name
        wanted_pings, wanted_events = (cut.pings_offset, cut.events_offset) if same and cut is not None else (0, 0)
        if same and rewind_ms:
            found = (await reader.offsets_for_times({pings: time.time_ns() // 1_000_000 - rewind_ms}))[pings]
            # None: no message that young. The embedded broker always answers the beginning, which is right too.
            wanted_pings = min(wanted_pings, found.offset if found is not None else wanted_pings)
        at_pings = _within(wanted_pings, first[pings], end[pings])
        at_events = _within(wanted_events, first[events], end[events])
        reader.seek(pings, at_pings)
        reader.seek(events, at_events)
        read_again = {pings.topic: at_pings, events.topic: at_events}
        known = self._bad if self._cut.incarnation == name else []
        self._bad = [bad for bad in known if bad.offset < read_again[bad.topic]]
        self._cut = Cut(name, partition, at_pings, at_events)
        return self._cut

    async def read(self, timeout_s: float) -> Read:
        if self._kept_back is None:
            self._kept_back, bad = await self._read(timeout_s)
            if self._set_aside is not None:
                self._bad += bad
        if self._follows_only:
            self._discard_oldest_bad()
        elif self._bad and self._set_aside is not None:
            await self._set_aside(self._bad)
            self._bad = []
        read, self._kept_back = self._kept_back, None
        return read

    def _discard_oldest_bad(self) -> None:
        """Keep the newest: the older ones the owner has come to long since."""
        discarded = len(self._bad) - KEPT_BAD
        if discarded > 0:
            del self._bad[:discarded]
            BAD_DISCARDED.labels(self._city).inc(discarded)
            structlog.get_logger().warning("unreadable messages discarded", city=self._city, messages=discarded)

    def follow_only(self) -> None:
        self._follows_only = True

    def own(self) -> None:
        self._follows_only = False

    async def _read(self, timeout_s: float) -> tuple[Read, list[BadMessage]]:
        """Messages that came, and those of them that cannot be read; they are set aside before anybody goes on."""
        reader = self._open_consumer()
        try:
            batches = await reader.getmany(timeout_ms=int(timeout_s * 1000))
        except (KafkaError, OSError, TimeoutError) as error:
            raise Retryable(f"kafka is away: {error!r}", reason="KAFKA_AWAY") from error
        if self._identity.seen != self._cut.incarnation:
            raise LogReplaced(f"the log was {self._cut.incarnation}, it is {self._identity.seen} now")
        pings, events = self._partitions(self._cut.partition)
        return self._take(batches.get(pings, ()), batches.get(events, ()))

    async def ends(self) -> Cut:
        reader = self._open_consumer()
        pings, events = self._partitions(self._cut.partition)
        try:
            end = await reader.end_offsets([pings, events])
        except (KafkaError, OSError, TimeoutError) as error:
            raise Retryable(f"kafka is away: {error!r}", reason="KAFKA_AWAY") from error
        return Cut(self._cut.incarnation, self._cut.partition, end[pings], end[events])

    async def ids_before(self, cut: Cut, count: int) -> Sequence[str]:
        events = self._partitions(cut.partition)[1]
        reader = consumer(self._url, fetch_max_wait_ms=_FETCH_WAIT_MS)
        ids: list[str] = []
        try:
            await reader.start()
            reader.assign([events])
            first = (await reader.beginning_offsets([events]))[events]
            reader.seek(events, max(first, cut.events_offset - count))
            while await reader.position(events) < cut.events_offset:
                records = (await reader.getmany(events, timeout_ms=500)).get(events, ())
                ids += [self._event(r, []).event_id for r in records if r.offset < cut.events_offset]
        except (KafkaError, OSError, TimeoutError) as error:
            raise Retryable(f"kafka is away: {error!r}", reason="KAFKA_AWAY") from error
        finally:
            with suppress(KafkaError, OSError):
                await reader.stop()
        return ids

    async def set_aside(self, event: LogEvent, reason: str) -> None:
        if self._set_aside is not None:
            place = self._partitions(self._cut.partition)[1]
            record = await self._record(place, event.offset)
            gone = BadMessage.of(place.topic, place.partition, event.offset, event.event_id, b"", reason)
            await self._set_aside([bad_record(record, reason) if record is not None else gone])

    async def close(self) -> None:
        reader, self._consumer, self._kept_back = self._consumer, None, None
        if reader is not None:
            with suppress(KafkaError, OSError):
                await reader.stop()

    async def _record(self, place: TopicPartition, offset: int) -> ConsumerRecord | None:
        """The message at an offset, None when the log does not hold it any more."""
        reader = consumer(self._url)
        try:
            await reader.start()
            reader.assign([place])
            first, end = await reader.beginning_offsets([place]), await reader.end_offsets([place])
            if not first[place] <= offset < end[place]:
                return None
            reader.seek(place, offset)
            async with asyncio.timeout(_ONE_READ_S):
                record = await reader.getone(place)
            return record if record.offset == offset else None
        except (KafkaError, OSError, TimeoutError) as error:
            raise Retryable(f"kafka is away: {error!r}", reason="KAFKA_AWAY") from error
        finally:
            with suppress(KafkaError, OSError):
                await reader.stop()

    def _partitions(self, number: int) -> tuple[TopicPartition, TopicPartition]:
        return TopicPartition(self._names[0], number), TopicPartition(self._names[1], number)

    def _open_consumer(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise Retryable("the logs are not open", reason="LOG_CLOSED")
        return self._consumer

    def _take(self, pings: Sequence[Any], events: Sequence[Any]) -> tuple[Read, list[BadMessage]]:
        bad: list[BadMessage] = []
        fixes, packed_ms = [], 0
        for record in pings:
            decoded = decode_fixes(record.value or b"", self._city)
            if decoded is None:
                if not _of_another_city(record.value or b"", self._city):
                    bad.append(bad_record(record, "not a batch of fixes"))
                continue
            fixes.append(decoded[0])
            packed_ms = min(packed_ms, decoded[1]) if packed_ms else decoded[1]
        city_events = [self._event(record, bad) for record in events]
        before = self._cut
        self._cut = Cut(
            before.incarnation,
            before.partition,
            pings[-1].offset + 1 if pings else before.pings_offset,
            events[-1].offset + 1 if events else before.events_offset,
        )
        pings_first = pings[0].offset if pings else before.pings_offset
        events_first = events[0].offset if events else before.events_offset
        return Read(fixes, city_events, self._cut, pings_first, events_first, packed_ms), bad

    def _event(self, record: Any, bad: list[BadMessage]) -> LogEvent:
        try:
            return wire.decode_event(record.value or b"", self._city, record.offset, self._capacity)
        except wire.BadEvent as error:
            bad.append(bad_record(record, str(error)))
            return wire.blank_event(record.offset)


def _of_another_city(value: bytes, city: str) -> bool:
    """Whether it is a batch of fixes of another city: one partition may serve several."""
    try:
        message = fix_columns_pb2.FixColumns.FromString(value)
    except DecodeError:
        return False
    return bool(message.city) and message.city != city


def _within(wanted: int, first: int, end: int) -> int:
    """The offset, or the beginning where the log does not hold it."""
    return wanted if first <= wanted <= end else first
