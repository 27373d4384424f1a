"""Sending: what is refused is told, whatever else was in its batch; nothing of a key overtakes anything else of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from aiokafka.errors import KafkaConnectionError, MessageSizeTooLargeError

from node.errors import Retryable
from node.kafka import Outgoing, send_all

TOO_LARGE = b"x" * 100


@dataclass
class BatchingProducer:
    """The driver and a broker that refuses a whole batch of two for one message in it that is too large."""

    partitions: set[int] = field(default_factory=lambda: {0, 1})
    #: Partitions that the driver has not heard of yet.
    added: set[int] = field(default_factory=set)
    away: bool = False
    #: Times that the driver was asked for partitions, and the broker.
    asked: int = 0
    refreshed: int = 0
    log: list[bytes] = field(default_factory=list)
    _batch: list[tuple[asyncio.Future[None], bytes]] = field(default_factory=list)

    @property
    def client(self) -> BatchingProducer:
        """The part that knows the topics."""
        return self

    async def force_metadata_update(self) -> None:
        """Ask the broker for its topics."""
        self.refreshed += 1
        self.partitions |= self.added

    async def partitions_for(self, topic: str) -> set[int]:
        """The partitions that the driver knows."""
        self.asked += 1
        return self.partitions

    async def send(self, topic: str, value: bytes, key: bytes, partition: int | None) -> asyncio.Future[None]:
        """Put a message into the batch; a full one goes at once, another soon."""
        if self.away:
            raise KafkaConnectionError
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._batch.append((future, value))
        if len(self._batch) == 2:
            self._write()
        else:
            loop.call_soon(self._write)
        return future

    def _write(self) -> None:
        batch, self._batch = self._batch, []
        refused = any(len(value) >= len(TOO_LARGE) for _, value in batch)
        for future, value in batch:
            if refused:
                future.set_exception(MessageSizeTooLargeError())
            else:
                self.log.append(value)
                future.set_result(None)


def of_key(key: str, *values: bytes) -> list[Outgoing]:
    """Messages of one key."""
    return [Outgoing("some.events", key, value) for value in values]


async def test_messages_of_a_key_keep_their_order_when_a_batch_is_refused() -> None:
    """The one that shared the batch of a refused one is not sent behind those that came later."""
    producer = BatchingProducer()
    refused = await send_all(producer, of_key("k", b"1", TOO_LARGE, b"2", b"3", b"4"))
    assert list(refused) == [1]
    assert producer.log == [b"1", b"2", b"3", b"4"]


async def test_messages_of_many_keys_share_batches() -> None:
    """Only those of one key wait for each other: each key in its order, the refused ones told by their places."""
    producer = BatchingProducer()
    messages = [*of_key("a", b"a1", TOO_LARGE, b"a2"), *of_key("b", b"b1", b"b2"), *of_key("c", b"c1", TOO_LARGE)]
    assert sorted(await send_all(producer, messages)) == [1, 6]
    assert sorted(producer.log) == [b"a1", b"a2", b"b1", b"b2", b"c1"]
    for key in (b"a", b"b"):
        assert [value for value in producer.log if value.startswith(key)] == [key + b"1", key + b"2"]


async def test_a_partition_that_is_not_there_is_the_messages_fault() -> None:
    """It is refused with the field, the others are sent; one that was added since is asked for and used."""
    producer = BatchingProducer(added={2})
    messages = [Outgoing("some.events", "k", str(n).encode(), n) for n in (0, 7, -1, 2)]
    assert await send_all(producer, messages) == {
        1: "partition: some.events has 3, none is 7",
        2: "partition: some.events has 3, none is -1",
    }
    assert producer.log == [b"0", b"2"]


@pytest.mark.parametrize(("partition", "asked", "refreshed"), [(1, 1, 0), (7, 2, 1)])
async def test_partitions_are_asked_for_once_a_call(partition: int, asked: int, refreshed: int) -> None:
    """However many messages name one, there or not."""
    producer = BatchingProducer()
    refused = await send_all(producer, [Outgoing("some.events", f"k-{n}", b"v", partition) for n in range(50)])
    assert (len(refused), producer.asked, producer.refreshed) == (50 * refreshed, asked, refreshed)


async def test_a_broker_that_is_away_refuses_nothing() -> None:
    """All are to be sent again."""
    with pytest.raises(Retryable):
        await send_all(BatchingProducer(away=True), of_key("k", b"1", b"2"))
