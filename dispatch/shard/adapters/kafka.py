"""The topic of results, on any broker that speaks Kafka's protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from dispatch.shard.ports import Letter
from node.errors import Retryable
from node.kafka import LogIdentity
from proto.topics import DISPATCH_EVENTS


class KafkaResultTopic:
    """`ResultTopic` on a producer."""

    def __init__(self, identity: LogIdentity, producer: AIOKafkaProducer, topic_prefix: str = "") -> None:
        self._identity = identity
        self._producer = producer
        self._topic = topic_prefix + DISPATCH_EVENTS.name

    async def incarnation(self) -> str:
        return await self._identity.ask()

    async def publish(self, letters: Sequence[Letter]) -> None:
        try:
            sent = [
                await self._producer.send(self._topic, letter.payload, key=letter.order_id.encode())
                for letter in letters
            ]
            await asyncio.gather(*sent)
        except (KafkaError, OSError, TimeoutError) as error:
            raise Retryable(f"kafka is away: {error!r}", reason="KAFKA_AWAY") from error
