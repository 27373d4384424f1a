"""Dump a living city to a recording: ticks from Postgres, messages from Kafka. Reads only; disturbs nobody."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from dispatch.engine.codec import from_plain
from dispatch.engine.params import EngineParams
from dispatch.logs.seen_ids import REMEMBERED_IDS
from dispatch.recording.recording import Message, RecordedTick, Recording
from node import postgres
from node.errors import NotFound, Rejected, Retryable
from node.kafka import LogIdentity, consumer
from node.postgres import statements
from proto.topics import CITY_EVENTS, RIDER_PINGS

SQL = statements(__file__)

#: Ticks a recording holds at most.
MAX_TICKS = 100_000
#: A broker that sends nothing for so long is away, wall seconds.
_SILENT_S = 10.0


@dataclass(frozen=True, slots=True)
class DumpRequest:
    """The last `minutes` (wall) of a city, and fixes from `rewind_s` before them; or all there is."""

    city: str
    minutes: float | None
    rewind_s: int


async def dump(core_url: str, kafka_url: str, wanted: DumpRequest, progress: Callable[[str], None]) -> Recording:
    """Reads the stretch. It begins at the last stored memory before the time asked for, so it may be longer.

    Raises `NotFound` for a city without ticks, `Rejected` when the log no longer holds the stretch, `Retryable` while a
    server is away.
    """
    stretch = await _stretch(core_url, wanted)
    progress(f"{len(stretch.ticks)} ticks from {stretch.ticks[0].tick} to {stretch.ticks[-1].tick}")
    try:
        return await _with_messages(kafka_url, wanted, stretch, progress)
    except (KafkaError, OSError, TimeoutError) as error:
        raise Retryable(f"kafka is away: {error!r}", reason="KAFKA_AWAY") from error


@dataclass(frozen=True, slots=True)
class _Stretch:
    ticks: Sequence[RecordedTick]
    params: dict[str, dict[str, Any]]
    default_capacity: int
    incarnation: str
    partition: int
    start: bytes
    events_offset: int
    began_ms: int
    models: dict[str, bytes]
    lessons: dict[str, bytes]


async def _stretch(core_url: str, wanted: DumpRequest) -> _Stretch:
    async with (
        postgres.connection(core_url) as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        last = await connection.fetchrow(SQL.last, wanted.city)
        if last is None:
            raise NotFound(f"no tick of a city {wanted.city!r} is on record", reason="UNKNOWN_CITY")
        start = await connection.fetchrow(SQL.start, wanted.city, wanted.minutes, last["incarnation"])
        if start is None:
            raise Rejected(
                f"{wanted.city}: no memory was stored since the log was replaced; one is stored with the first "
                "tick of an owner and every few minutes",
                reason="NO_START",
            )
        rows = await connection.fetch(SQL.ticks, wanted.city, start["tick"], MAX_TICKS + 1)
        if len(rows) > MAX_TICKS:
            raise Rejected(
                f"{wanted.city}: more than {MAX_TICKS:,} ticks in this stretch: ask for fewer with --minutes",
                reason="TOO_LONG",
            )
        params = await connection.fetch(SQL.params, list({row["params_digest"] for row in rows}))
        ticks = [_tick(row) for row in rows]
        bases = [basis for tick in ticks for basis in (*tick.quiet, tick.basis)]
        versions = {basis.travel_version for basis in bases}
        models = await connection.fetch(SQL.models, wanted.city, list(versions))
        names = {basis.lesson for basis in bases if basis.lesson}
        lessons = await connection.fetch(SQL.lessons, wanted.city, list(names))
    if {row["incarnation"] for row in rows} != {last["incarnation"]}:
        raise Rejected(f"{wanted.city}: the log was replaced within this stretch: ask for less", reason="LOG_REPLACED")
    bodies = {row["digest"]: json.loads(row["body"]) for row in params}
    return _Stretch(
        ticks=ticks,
        params=bodies,
        default_capacity=default_capacity(wanted.city, bodies.values()),
        incarnation=last["incarnation"],
        partition=last["partition"],
        start=start["body"],
        events_offset=start["events_offset"],
        began_ms=start["began_ms"],
        models={row["version"]: row["body"] for row in models},
        lessons={row["lesson"]: row["learning"] for row in lessons},
    )


def default_capacity(city: str, params: Iterable[Mapping[str, Any]]) -> int:
    """The capacity of riders who did not say, by the parameters of a stretch; one for all of it, as its messages are
    read once. Raises `Rejected`."""
    found = {from_plain(EngineParams, dict(body)).default_capacity for body in params}
    if len(found) > 1:
        raise Rejected(
            f"{city}: default_capacity was changed within this stretch: ask for less with --minutes",
            reason="CAPACITY_CHANGED",
        )
    return found.pop()


def _tick(row: asyncpg.Record) -> RecordedTick:
    return RecordedTick.of({**row, "quiet": json.loads(row["quiet"] or "[]")})


async def _with_messages(
    kafka_url: str, wanted: DumpRequest, stretch: _Stretch, progress: Callable[[str], None]
) -> Recording:
    identity = LogIdentity(kafka_url)
    try:
        name = await identity.ask()
    finally:
        await identity.close()
    if name != stretch.incarnation:
        raise Rejected(f"the ticks are of log {stretch.incarnation}, the broker has {name}", reason="LOG_REPLACED")
    pings = TopicPartition(RIDER_PINGS.name, stretch.partition)
    events = TopicPartition(CITY_EVENTS.name, stretch.partition)
    reader = consumer(kafka_url)
    await reader.start()
    try:
        reader.assign([pings, events])
        first = await reader.beginning_offsets([pings, events])
        if first[events] > stretch.events_offset:
            raise Rejected(f"{wanted.city}: the log begins after the stretch: ask for less", reason="LOG_TRIMMED")
        end = stretch.ticks[-1]
        since = max(first[events], stretch.events_offset - REMEMBERED_IDS)
        city_events = await _messages(reader, events, since, end.events_offset)
        progress(f"{len(city_events)} events")
        found = (await reader.offsets_for_times({pings: stretch.began_ms - wanted.rewind_s * 1000}))[pings]
        since = max(first[pings], found.offset if found is not None else end.pings_offset)
        fixes = await _messages(reader, pings, since, end.pings_offset)
        progress(f"{len(fixes)} batches of fixes")
    finally:
        await reader.stop()
    return Recording(
        city=wanted.city,
        incarnation=stretch.incarnation,
        partition=stretch.partition,
        default_capacity=stretch.default_capacity,
        events_offset=stretch.events_offset,
        params=stretch.params,
        start=stretch.start,
        ticks=stretch.ticks,
        pings=fixes,
        events=city_events,
        models=stretch.models,
        lessons=stretch.lessons,
    )


async def _messages(reader: AIOKafkaConsumer, partition: TopicPartition, first: int, end: int) -> list[Message]:
    """Messages [first, end) of one partition."""
    messages: list[Message] = []
    if first >= end:
        return messages
    reader.seek(partition, first)
    while True:
        async with asyncio.timeout(_SILENT_S):
            while not (records := (await reader.getmany(partition, timeout_ms=500)).get(partition)):
                pass
        messages += [Message(r.offset, r.value or b"") for r in records if r.offset < end]
        if records[-1].offset + 1 >= end:
            return messages
