"""Send messages to Kafka."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer

from node.errors import Invalid
from node.kafka import LogIdentity, Outgoing, send_all
from node.outbox.message import Message


def by_key(_: Message) -> None:
    """Leave the partition to the key."""


@dataclass(frozen=True, slots=True)
class KafkaPublisher:
    """`Publisher` on a producer; `partition_of` tells a message's partition, None for that of its key."""

    producer: AIOKafkaProducer
    identity: LogIdentity
    partition_of: Callable[[Message], int | None] = by_key

    async def incarnation(self) -> str:
        return await self.identity.recent()

    async def send(self, messages: Sequence[Message]) -> Mapping[int, str]:
        outgoing, refused = dict[int, Outgoing](), dict[int, str]()
        for number, message in enumerate(messages):
            try:
                partition = self.partition_of(message)
                outgoing[number] = Outgoing(message.topic, message.key, message.payload, partition)
            except Invalid as error:  # of a city that is not on the map
                refused[number] = str(error)
        numbers = list(outgoing)
        unsent = await send_all(self.producer, list(outgoing.values()))
        return refused | {numbers[n]: reason for n, reason in unsent.items()}
