"""Check a run of moves: pauses from the record of ticks, lost fixes and double assignments from the logs."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import asyncpg
import numpy as np
from aiokafka import TopicPartition

from benchmarks.move.riders import RiderFleet
from node import kafka
from node.postgres import statements
from proto.dispatch.v1.dispatch_event_pb2 import DispatchEvent
from proto.fix_messages import decode_fixes
from proto.topics import DISPATCH_EVENTS, RIDER_PINGS

SQL = statements(__file__)

#: Kinds of event that say which rider has the order.
_HAS = ("assigned", "picked_up", "delivered")


@dataclass(frozen=True, slots=True)
class MoveTime:
    """A move as the database's clock saw it. `pause_ms` is as DESIGN §8 defines it, never below zero."""

    move_id: int
    city: str
    to_shard: str
    state: str
    reason: str
    warm_ms: float
    gap_ms: float
    released_to_tick_ms: float
    pause_ms: float


async def move_times(pool: asyncpg.Pool, period_ms: int) -> list[MoveTime]:
    """Every move: from the last committed tick of the old epoch to the first tick that could commit in the new one."""
    return [
        MoveTime(
            row["move_id"],
            row["city"],
            row["to_shard"],
            row["state"],
            row["reason"],
            round(float(row["warm_ms"] or 0), 1),
            round(float(row["gap_ms"] or np.inf), 1),
            round(float(row["released_to_tick_ms"] or np.inf), 1),
            round(max(0.0, float(row["gap_ms"] or np.inf) - period_ms), 1),
        )
        for row in await pool.fetch(SQL.pauses)
    ]


async def assignments(kafka_url: str) -> tuple[int, int]:
    """Count the assigned orders of dispatch.events, and those of them assigned to two riders at once."""
    events = await _told(kafka_url)
    return len({event.order_id for event in events if event.WhichOneof("kind") == "assigned"}), len(doubles(events))


def doubles(events: Iterable[DispatchEvent]) -> set[str]:
    """Orders that one rider had while another did: taken by a second with no step back of the first between.

    Events may come in any order and again; two different ones of one version of an order are two events.
    """
    stories: defaultdict[str, set[tuple[int, str, int]]] = defaultdict(set)
    for event in events:
        kind = event.WhichOneof("kind") or ""
        if kind in _HAS or kind == "unassigned":
            stories[event.order_id].add((event.version, kind, getattr(event, kind).rider_id))
    return {order_id for order_id, story in stories.items() if _two_at_once(sorted(story))}


def _two_at_once(story: list[tuple[int, str, int]]) -> bool:
    has: int | None = None
    for _, kind, rider_id in story:
        if kind in _HAS and has not in (None, rider_id):
            return True
        if kind in _HAS:
            has = rider_id
        elif rider_id == has:
            has = None
    return False


async def _told(kafka_url: str) -> list[DispatchEvent]:
    """All messages of dispatch.events by now, repetitions included."""
    found: list[DispatchEvent] = []
    reader = kafka.consumer(kafka_url)
    await reader.start()
    try:
        numbers = await kafka.partitions_of(reader, DISPATCH_EVENTS.name)
        partitions = [TopicPartition(DISPATCH_EVENTS.name, number) for number in numbers]
        reader.assign(partitions)
        ends = await reader.end_offsets(partitions)
        await reader.seek_to_beginning(*partitions)
        for partition in partitions:
            while await reader.position(partition) < ends[partition]:
                records = (await reader.getmany(partition, timeout_ms=500)).get(partition, ())
                found += [DispatchEvent.FromString(record.value) for record in records]
    finally:
        await reader.stop()
    return found


async def applied_to_the_end(pool: asyncpg.Pool, kafka_url: str, city: str, partition: int) -> int:
    """Waits until the owner has applied all fixes of the log; the offset after the last."""
    reader = kafka.consumer(kafka_url)
    await reader.start()
    try:
        pings = TopicPartition(RIDER_PINGS.name, partition)
        reader.assign([pings])
        end = int((await reader.end_offsets([pings]))[pings])
    finally:
        await reader.stop()
    async with asyncio.timeout(30):
        while int(await pool.fetchval(SQL.cut, city)) < end:  # noqa: ASYNC110  it is in the database
            await asyncio.sleep(0.2)
    return end


async def lost_fixes(fleet: RiderFleet, kafka_url: str, city: str, partition: int, end: int) -> tuple[int, int]:
    """Count acknowledged fixes, and those of them that the log does not hold."""
    logged = await _logged(kafka_url, city, partition, end)
    acked = lost = 0
    for number, rider in fleet.riders.items():
        promised = set(rider.client.journal.acked_fixes)
        acked += len(promised)
        lost += len(promised - logged.get(number, set()))
    return acked, lost


async def _logged(kafka_url: str, city: str, partition: int, end: int) -> Mapping[int, set[tuple[int, int]]]:
    found: dict[int, set[tuple[int, int]]] = {}
    reader = kafka.consumer(kafka_url)
    await reader.start()
    try:
        pings = TopicPartition(RIDER_PINGS.name, partition)
        reader.assign([pings])
        await reader.seek_to_beginning(pings)
        while await reader.position(pings) < end:
            for record in (await reader.getmany(pings, timeout_ms=500)).get(pings, ()):
                decoded = decode_fixes(record.value or b"", city)
                if decoded is None:
                    continue
                columns = decoded[0]
                rows = zip(columns.rider_id.tolist(), columns.session.tolist(), columns.seq.tolist(), strict=True)
                for rider, session, seq in rows:
                    found.setdefault(rider, set()).add((session, seq))
    finally:
        await reader.stop()
    return found
