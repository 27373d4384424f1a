"""Send messages to Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from node.errors import Retryable
from orders.messaging.message import Message


@dataclass(frozen=True, slots=True)
class KafkaPublisher:
    """Sends messages keyed by order; `partition_of(city)` tells the partition of those that a city is to read."""

    producer: AIOKafkaProducer
    partition_of: Callable[[str], int]

    async def __call__(self, messages: Sequence[Message]) -> None:
        """Returns when all are durable. Raises `Retryable` when one is not, or may not be."""
        try:
            await asyncio.gather(*[await self._sent(message) for message in messages])
        except KafkaError as error:
            raise Retryable(f"Kafka did not take {len(messages)} messages: {error!r}", reason="KAFKA_AWAY") from error

    async def _sent(self, message: Message) -> asyncio.Future[object]:
        partition = self.partition_of(message.city) if message.city else None
        sent: asyncio.Future[object] = await self.producer.send(
            message.topic, message.payload, key=message.order_id.encode(), partition=partition
        )
        return sent
