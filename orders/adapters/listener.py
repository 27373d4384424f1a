"""Reads payment.events and dispatch.events into the order store."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import structlog
from aiokafka import ConsumerRecord

from node.kafka import Offsets, TopicLoop
from orders.adapters.codec import decode
from orders.hearing import Heard, Source
from orders.messaging.message import offsets_after
from orders.messaging.postgres import offsets
from orders.metrics import EVENTS_HEARD, EVENTS_UNREADABLE
from orders.ports import OrderStore
from proto.topics import DISPATCH_EVENTS, PAYMENT_EVENTS

SOURCES: Mapping[str, Source] = {PAYMENT_EVENTS.name: Source.PAYMENTS, DISPATCH_EVENTS.name: Source.DISPATCH}

#: Trades a little latency of a saga's step for fewer, larger transactions.
LINGER_S = 0.02


@dataclass(frozen=True, slots=True)
class Listener:
    """Hands what others tell to the store, batch by batch, each partition in its order."""

    store: OrderStore
    log: structlog.stdlib.BoundLogger

    async def handle(self, records: Sequence[ConsumerRecord]) -> None:
        """Absorbs the records of a poll. A message that cannot be read is counted, logged and passed over."""
        heard = [event for record in records if (event := self._read(record)) is not None]
        absorbed = await self.store.absorb(heard, offsets_after(records))
        for what in ("applied", "duplicates", "held", "refused", "unknown"):
            EVENTS_HEARD.labels(what).inc(getattr(absorbed, what))

    def _read(self, record: ConsumerRecord) -> Heard | None:
        source = SOURCES[record.topic]
        try:
            return decode(source, record.value)
        except ValueError as error:
            EVENTS_UNREADABLE.labels(source).inc()
            self.log.error("unreadable event", topic=record.topic, offset=record.offset, error=str(error))
            return None


def listen(
    kafka_url: str, listener: Listener, pools: Sequence[asyncpg.Pool], log: structlog.stdlib.BoundLogger
) -> Coroutine[Any, Any, None]:
    """The loop. It goes on from the offset that every database has passed: what some have seen already they drop."""

    async def load(log_id: str) -> Offsets:
        stored = [await offsets(pool, log_id) for pool in pools]
        places = set.intersection(*(set(one) for one in stored))
        return {place: min(one[place] for one in stored) for place in places}

    loop = TopicLoop(kafka_url, tuple(SOURCES), load, listener.handle, log, linger_s=LINGER_S)
    return loop.run()
