"""Kafka as every service does it.

Producers are not idempotent anywhere (the embedded broker refuses it): duplicates are normal, consumers drop them.
Consumers assign partitions by hand and keep their offsets where their effects are, in one transaction.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Container, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import InvalidTimestampError, KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from node.errors import Retryable
from node.retry import QUICK, warned

_AGAIN = replace(QUICK, of=(KafkaError, Retryable, OSError))

#: How long to look for the true end of a log before the broker's word is taken, wall seconds.
_TRUE_END_S = 5.0

#: How long the broker may take to say who it is, and how often a reader asks, wall seconds.
_IDENTITY_S = 4.0
_LOOK_EVERY_S = 2.0
#: How often `LogIdentity` asks by itself which log it is, wall seconds.
_ASK_EVERY_S = 1.0

#: Offsets to go on from, by topic and partition; partitions that are missing are read from the beginning.
Offsets = Mapping[tuple[str, int], int]


def producer(url: str, *, linger_ms: int = 2, max_batch_size: int = 1 << 18) -> AIOKafkaProducer:
    """A producer whose sends are durable when they return (acks=all). Start and stop it yourself."""
    return AIOKafkaProducer(
        bootstrap_servers=url,
        acks="all",
        enable_idempotence=False,
        linger_ms=linger_ms,
        max_batch_size=max_batch_size,
        max_request_size=1 << 22,
        request_timeout_ms=10_000,
        retry_backoff_ms=100,
        metadata_max_age_ms=30_000,
    )


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to send; without a partition its key chooses one."""

    topic: str
    key: str
    value: bytes
    partition: int | None = None


#: The broker, or the driver before it, will never take the message.
_REFUSED = (MessageSizeTooLargeError, RecordListTooLargeError, InvalidTimestampError)


async def send_all(producer: AIOKafkaProducer, messages: Sequence[Outgoing]) -> dict[int, str]:
    """Send messages; when it returns all are durable, but for those that are refused for good: by index, and why.

    Those of one key are written in the order given, whatever is refused: each is sent when the one before it is durable
    or refused. Raises `Retryable` when a message is not durable, or may not be.
    """
    refused = await _without_partition(producer, messages)
    for numbers in _rounds(messages, refused):
        for number, error in (await _sent_in_round(producer, messages, numbers)).items():
            if not isinstance(error, _REFUSED):
                raise _not_taken(messages, error) from error
            refused[number] = repr(error)
    return dict(sorted(refused.items()))


async def _without_partition(producer: AIOKafkaProducer, messages: Sequence[Outgoing]) -> dict[int, str]:
    """Messages whose topic has no such partition: by index, and why. Asks once a topic, the broker once at most."""
    wanted = {number: message for number, message in enumerate(messages) if message.partition is not None}
    try:
        there = await _partitions(producer, wanted.values())
        missing = {number: m for number, m in wanted.items() if m.partition not in there[m.topic]}
        if missing:
            # They may have been added since the driver last asked.
            await producer.client.force_metadata_update()
            there = await _partitions(producer, missing.values())
    except (KafkaError, OSError, TimeoutError) as error:
        raise _not_taken(messages, error) from error
    return {
        number: f"partition: {m.topic} has {len(there[m.topic])}, none is {m.partition}"
        for number, m in missing.items()
        if m.partition not in there[m.topic]
    }


async def _partitions(producer: AIOKafkaProducer, messages: Iterable[Outgoing]) -> dict[str, set[int]]:
    """Partitions of the messages' topics, as the driver knows them."""
    return {topic: await producer.partitions_for(topic) for topic in {message.topic for message in messages}}


def _not_taken(messages: Sequence[Outgoing], error: BaseException) -> Retryable:
    return Retryable(f"Kafka did not take {len(messages)} messages: {error!r}", reason="KAFKA_AWAY")


def _rounds(messages: Sequence[Outgoing], left_out: Container[int]) -> list[list[int]]:
    """The indices of the messages in rounds, in none of them two messages of one key of a topic."""
    rounds: list[list[int]] = []
    counts: Counter[tuple[str, str]] = Counter()
    for number, message in enumerate(messages):
        if number in left_out:
            continue
        key = (message.topic, message.key)
        if counts[key] == len(rounds):
            rounds.append([])
        rounds[counts[key]].append(number)
        counts[key] += 1
    return rounds


async def _sent_in_round(
    producer: AIOKafkaProducer, messages: Sequence[Outgoing], numbers: Sequence[int]
) -> dict[int, BaseException]:
    """Send one round; what became of those that are not durable.

    A broker refuses a whole batch for one message in it, so refused ones are sent again, each alone. As no key is twice
    in a round, none of them is overtaken by a later one of its key.
    """
    failed = await _sent(producer, messages, numbers)
    if len(failed) > 1 and all(isinstance(error, _REFUSED) for error in failed.values()):
        alone = [await _sent(producer, messages, [number]) for number in failed]
        failed = {number: error for one in alone for number, error in one.items()}
    return failed


async def _sent(
    producer: AIOKafkaProducer, messages: Sequence[Outgoing], numbers: Sequence[int]
) -> dict[int, BaseException]:
    """Send some of the messages at once; what became of those that are not durable."""
    failed: dict[int, BaseException] = {}
    waiting: dict[int, asyncio.Future[object]] = {}
    for number in numbers:
        message = messages[number]
        try:
            waiting[number] = await producer.send(
                message.topic, message.value, key=message.key.encode(), partition=message.partition
            )
        except (KafkaError, OSError, TimeoutError) as error:
            failed[number] = error
            if not isinstance(error, _REFUSED):
                break  # what comes after it must not overtake it
    outcomes = await asyncio.gather(*waiting.values(), return_exceptions=True)
    failed |= {n: o for n, o in zip(waiting, outcomes, strict=True) if isinstance(o, BaseException)}
    return failed


class Consumer(AIOKafkaConsumer):  # type: ignore[misc]
    """The driver's consumer, but for `end_offsets` and `stop`.

    The embedded broker answers "first offset of the last batch + 1", too little whenever a producer put several records
    into one batch; a fetch tells the true end of each partition (its high watermark). So the end is taken from a fetch
    of the last batch, by a reader of its own. On Apache Kafka both are equal.
    """

    async def stop(self) -> None:
        """Stops. While the broker is away the driver lets the cancellation of its own tasks escape from here: taken for
        ours it would end a reader's loop without a word, so it is only passed on if we are being cancelled.
        """
        try:
            await super().stop()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise

    async def end_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """The offset after the last record of each partition."""
        ends: dict[TopicPartition, int] = await super().end_offsets(partitions)
        written = [partition for partition, end in ends.items() if end > 0]
        if not written:
            return ends
        probe = consumer(self._client._bootstrap_servers, fetch_max_wait_ms=20)
        try:
            await probe.start()
            probe.assign(written)
            for partition in written:
                probe.seek(partition, ends[partition] - 1)
            with suppress(TimeoutError):
                async with asyncio.timeout(_TRUE_END_S):
                    while any(probe.highwater(partition) is None for partition in written):
                        await probe.getmany(timeout_ms=20)
            marks = {partition: probe.highwater(partition) for partition in written}
        finally:
            await probe.stop()
        return ends | {partition: mark for partition, mark in marks.items() if mark is not None}


def consumer(
    url: str, *, fetch_max_wait_ms: int = 100, fetch_min_bytes: int = 1, max_poll_records: int = 2000
) -> Consumer:
    """A consumer without a group: assign partitions by hand, seek, read. Start and stop it yourself.

    The broker answers as soon as it has `fetch_min_bytes`, or after `fetch_max_wait_ms` with what it has.
    """
    return Consumer(
        bootstrap_servers=url,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=fetch_max_wait_ms,
        fetch_min_bytes=fetch_min_bytes,
        max_poll_records=max_poll_records,
        request_timeout_ms=10_000,
        retry_backoff_ms=100,
        metadata_max_age_ms=30_000,
    )


class LogIdentity:
    """Identity of the log: the cluster id that the broker reports. Another id is another log, where offsets of the old
    one mean nothing; the embedded broker gets a new id at every start. A reader would only find the new log quiet.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._admin: AIOKafkaAdminClient | None = None
        # Many may ask at once; one connection serves them all.
        self._asking = asyncio.Lock()
        #: As last seen; empty before.
        self.seen = ""
        self._seen_s = -math.inf

    async def ask(self) -> str:
        """The cluster id now. Raises `Retryable`."""
        async with self._asking:
            try:
                async with asyncio.timeout(_IDENTITY_S):
                    if self._admin is None:
                        self._admin = AIOKafkaAdminClient(bootstrap_servers=self._url, request_timeout_ms=3000)
                        await self._admin.start()
                    self.seen = str((await self._admin.describe_cluster())["cluster_id"])
                    self._seen_s = time.monotonic()
                    return self.seen
            except (KafkaError, OSError, TimeoutError) as error:
                await self.close()
                raise Retryable(f"Kafka is away: {error!r}", reason="KAFKA_AWAY") from error
            except asyncio.CancelledError:  # the connection may be half made: the next one to ask makes another
                await self.close()
                raise

    async def recent(self) -> str:
        """The cluster id as it was at most a second ago. Raises `Retryable`."""
        if time.monotonic() - self._seen_s > _ASK_EVERY_S:
            await self.ask()
        return self.seen

    async def run(self) -> None:
        """Asks until cancelled, so that `seen` is fresh."""
        while True:
            with suppress(Retryable):  # readers notice by themselves that the broker is away
                await self.ask()
            await asyncio.sleep(_ASK_EVERY_S)

    async def close(self) -> None:
        """Lets go of the connection; the next `ask` makes a new one."""
        admin, self._admin = self._admin, None
        if admin is not None:
            with suppress(KafkaError, OSError):
                await admin.close()


Handle = Callable[[Sequence[ConsumerRecord]], Awaitable[None]]
LoadOffsets = Callable[[str], Awaitable[Offsets]]


@dataclass(slots=True)
class TopicLoop:
    """Reads all partitions of some topics and hands batches to `handle`, again and again until it is cancelled.

    `handle` gets the records of one poll, those of each partition in their order, and must make their effects and the
    offsets after them durable together before it returns; it is called again with the same records when it raised
    `Retryable`, so it must be idempotent. Any other exception ends the loop (and with it the process).
    `load_offsets` is asked at each (re)start with the log's identity: offsets of another log are not to be used.
    `linger_s` is waited between two polls that found something: under load
    it makes batches of what would be many small transactions.
    """

    url: str
    topics: Sequence[str]
    load_offsets: LoadOffsets
    handle: Handle
    log: structlog.stdlib.BoundLogger
    max_poll_records: int = 500
    linger_s: float = 0.0
    caught_up: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Reads until cancelled; a broker that is away is waited for with backoff."""
        identity = LogIdentity(self.url)
        try:
            await _AGAIN.forever(
                lambda: self._read(identity), warned(self.log, "kafka loop paused", topics=list(self.topics))
            )
        finally:
            await identity.close()

    async def _read(self, identity: LogIdentity) -> None:
        log_id = await identity.ask()
        reader = consumer(self.url, max_poll_records=self.max_poll_records)
        try:
            await reader.start()
            await self._assign(reader, log_id)
            looked_s = time.monotonic()
            while True:
                batches = await reader.getmany(timeout_ms=500)
                if time.monotonic() - looked_s > _LOOK_EVERY_S:
                    if await identity.ask() != log_id:
                        raise Retryable("the log was replaced by another", reason="LOG_REPLACED")
                    looked_s = time.monotonic()
                if not batches:
                    self.caught_up.set()
                    continue
                await self.handle([record for records in batches.values() for record in records])
                if self.linger_s:
                    await asyncio.sleep(self.linger_s)
        finally:
            with suppress(KafkaError):
                await reader.stop()

    async def _assign(self, reader: AIOKafkaConsumer, log_id: str) -> None:
        offsets = await self.load_offsets(log_id)
        partitions: list[TopicPartition] = []
        for topic in self.topics:
            numbers = await partitions_of(reader, topic)
            partitions += [TopicPartition(topic, number) for number in sorted(numbers)]
        reader.assign(partitions)
        first = await reader.beginning_offsets(partitions)
        end = await reader.end_offsets(partitions)
        for partition in partitions:
            wanted = offsets.get((partition.topic, partition.partition), 0)
            # An offset past the end belongs to a log that is gone: begin with what the new one has.
            reader.seek(partition, max(wanted, first[partition]) if wanted <= end[partition] else first[partition])


async def partitions_of(reader: AIOKafkaConsumer, topic: str) -> set[int]:
    """The partitions of a topic. Raises `Retryable` while the topic does not exist."""
    await reader._client.force_metadata_update()
    known = reader._client.cluster.partitions_for_topic(topic) or reader.partitions_for_topic(topic)
    if not known:
        await reader._client.add_topic(topic)
        known = reader._client.cluster.partitions_for_topic(topic)
    if not known:
        raise Retryable(f"topic {topic} does not exist (yet)", reason="NO_TOPIC")
    return set(known)
