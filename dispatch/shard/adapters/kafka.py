"""The topic of results, on any broker that speaks Kafka's protocol."""

from __future__ import annotations

from collections.abc import Sequence

from aiokafka import AIOKafkaProducer

from dispatch.shard.ports import Letter
from node.kafka import LogIdentity, Outgoing, send_all
from node.set_aside import UNSENT, BadMessage
from proto.topics import DISPATCH_EVENTS


class KafkaResultTopic:
    """`ResultTopic` on a producer."""

    def __init__(self, identity: LogIdentity, producer: AIOKafkaProducer, topic_prefix: str = "") -> None:
        self._identity = identity
        self._producer = producer
        self._topic = topic_prefix + DISPATCH_EVENTS.name

    async def incarnation(self) -> str:
        return await self._identity.ask()

    async def publish(self, letters: Sequence[Letter]) -> Sequence[BadMessage]:
        messages = [Outgoing(self._topic, letter.order_id, letter.payload) for letter in letters]
        refused = await send_all(self._producer, messages)
        return [
            BadMessage(self._topic, UNSENT, letters[n].letter_id, letters[n].order_id, letters[n].payload, reason)
            for n, reason in refused.items()
        ]
