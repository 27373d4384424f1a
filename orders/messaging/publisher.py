"""Send messages to Kafka."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer

from node.errors import Invalid
from node.kafka import Outgoing, send_all
from orders.messaging.message import Message


@dataclass(frozen=True, slots=True)
class KafkaPublisher:
    """Sends messages keyed by order; `partition_of(city)` tells the partition of those that a city is to read."""

    producer: AIOKafkaProducer
    partition_of: Callable[[str], int]

    async def __call__(self, messages: Sequence[Message]) -> Mapping[int, str]:
        """Returns when all are durable, but for those that will never be taken. Raises `Retryable` when one is not, or
        may not be.
        """
        outgoing, refused = dict[int, Outgoing](), dict[int, str]()
        for number, message in enumerate(messages):
            try:
                partition = self.partition_of(message.city) if message.city else None
                outgoing[number] = Outgoing(message.topic, message.order_id, message.payload, partition)
            except Invalid as error:  # of a city that is not on the map
                refused[number] = str(error)
        numbers = list(outgoing)
        unsent = await send_all(self.producer, list(outgoing.values()))
        return refused | {numbers[n]: reason for n, reason in unsent.items()}
