"""Facts from the two input logs, read from end to end."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError
from numpy.typing import NDArray

from node.kafka import consumer, partitions_of
from proto.columns import FIX_COLUMNS, unpack
from proto.dispatch.v1.city_event_pb2 import CityEvent
from proto.topics import CITY_EVENTS, RIDER_PINGS
from proto.tracking.v1.fix_columns_pb2 import FixColumns
from proto.tracking.v1.rider_link_pb2 import RIDER_STATUS_DELIVERED, RIDER_STATUS_PICKED_UP

#: One fix: the rider, the session it was sent on, its number there.
FIX_KEY = np.dtype([("rider", "<u8"), ("session", "<u8"), ("seq", "<u8")])
FixKeys = NDArray[np.void]

_READ_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True, eq=False)
class LoggedFixes:
    """All fixes of the log: its rows, each city's in their order, and their distinct keys, sorted.

    `places` (n, 2) are partition and offset of the message that each row came in.
    """

    rows: FixKeys
    places: NDArray[np.int64]
    keys: FixKeys

    @classmethod
    def of(cls, rows: FixKeys, places: NDArray[np.int64] | None = None) -> LoggedFixes:
        """From the rows, of one message when no places are given."""
        return cls(rows, np.zeros((len(rows), 2), np.int64) if places is None else places, np.unique(rows))

    def before(self, offsets: Mapping[int, int]) -> FixKeys:
        """Rows that lie before an offset of their partition; none of a partition without one."""
        ends = np.array([offsets.get(partition, 0) for partition in self.places[:, 0].tolist()], np.int64)
        return self.rows[self.places[:, 1] < ends]

    @property
    def duplicates(self) -> int:
        """Rows that say again what another row says."""
        return len(self.rows) - len(self.keys)

    def unacked(self, acked: FixKeys) -> tuple[int, int]:
        """Fixes that became durable while their acknowledgement was lost with the stream: the app sent them again in
        its next session. How many of them were the rider's newest when they came, and how many were not."""
        unknown = self.keys[~np.isin(self.keys, acked, assume_unique=True)]
        newest = 0
        for key in unknown:
            of_rider = self.rows[self.rows["rider"] == key["rider"]]
            at = int(np.flatnonzero(of_rider == key)[0])
            before = of_rider[:at]
            later = (before["session"] > key["session"]) | (
                (before["session"] == key["session"]) & (before["seq"] > key["seq"])
            )
            newest += not later.any()
        return newest, len(unknown) - newest


async def logged_fixes(kafka_url: str) -> LoggedFixes:
    """Reads rider.pings from beginning to end."""
    parts, places = [np.zeros(0, FIX_KEY)], [np.zeros((0, 2), np.int64)]
    async for record in _records(kafka_url, RIDER_PINGS.name):
        parts.append(_keys(record.value))
        places.append(np.full((len(parts[-1]), 2), (record.partition, record.offset), np.int64))
    return LoggedFixes.of(np.concatenate(parts), np.concatenate(places))


def newest_when_they_came(rows: FixKeys) -> int:
    """Number of rows that no earlier one of their rider is newer than, or as new as."""
    count, newest = 0, dict[int, tuple[int, int]]()
    for rider, session, seq in rows.tolist():
        if (session, seq) > newest.get(rider, (-1, -1)):
            newest[rider] = session, seq
            count += 1
    return count


async def carriers(kafka_url: str) -> dict[str, set[int]]:
    """Reads city.events from beginning to end: which riders said that they picked up or delivered each order."""
    who: dict[str, set[int]] = defaultdict(set)
    async for record in _records(kafka_url, CITY_EVENTS.name):
        event = CityEvent.FromString(record.value)
        status = event.rider_status.status
        if status.status in (RIDER_STATUS_PICKED_UP, RIDER_STATUS_DELIVERED):
            who[status.order_id].add(event.rider_status.rider_id)
    return who


def fix_keys(fixes: Iterable[tuple[int, int, int]]) -> FixKeys:
    """Distinct keys of (rider, session, seq), sorted."""
    return np.unique(np.array(list(fixes), FIX_KEY))


def missing(wanted: FixKeys, there: FixKeys) -> int:
    """Number of the wanted keys that are missing."""
    return len(wanted) - int(np.isin(wanted, there, assume_unique=True).sum())


def _keys(message: bytes) -> FixKeys:
    columns = unpack(FIX_COLUMNS, FixColumns.FromString(message))
    keys = np.zeros(len(columns["seq"]), FIX_KEY)
    keys["rider"], keys["session"], keys["seq"] = columns["rider_id"], columns["session"], columns["seq"]
    return keys


async def _records(kafka_url: str, topic: str) -> AsyncIterator[ConsumerRecord]:
    """Every record there is now, partition by partition in order."""
    reader = consumer(kafka_url)
    await reader.start()
    try:
        partitions = [TopicPartition(topic, number) for number in sorted(await partitions_of(reader, topic))]
        reader.assign(partitions)
        ends = await reader.end_offsets(partitions)
        await reader.seek_to_beginning(*partitions)
        deadline_s = time.monotonic() + _READ_WITHIN_S
        while await _unread(reader, ends):
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"{topic} could not be read to its end in {_READ_WITHIN_S:.0f} s")
            for records in (await reader.getmany(timeout_ms=200)).values():
                for record in records:
                    yield record
    finally:
        with suppress(KafkaError):
            await reader.stop()


async def _unread(reader: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> bool:
    for partition, end in ends.items():
        if await reader.position(partition) < end:
            return True
    return False
